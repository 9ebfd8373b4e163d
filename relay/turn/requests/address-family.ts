import type { AddressFamily } from '../../stun/address.ts'
import { FAMILY_CODE } from '../../stun/attribute-types.ts'
import { readFirstByte } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'

/** The family in an attribute (RFC 8656 §18.6): `absent`, `malformed`, or `unknown` where it is neither IPv4 nor IPv6. */
export function readFamily(
  reader: StunReader,
  attribute: number,
): AddressFamily | 'absent' | 'malformed' | 'unknown' {
  const index = reader.find(attribute)
  if (index < 0) return 'absent'
  const code = readFirstByte(reader, index)
  if (code === undefined) return 'malformed'
  if (code === FAMILY_CODE.IPv4) return 4
  return code === FAMILY_CODE.IPv6 ? 6 : 'unknown'
}

export function familyCode(family: AddressFamily): number {
  return family === 4 ? FAMILY_CODE.IPv4 : FAMILY_CODE.IPv6
}
