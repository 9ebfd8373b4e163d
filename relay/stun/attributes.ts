import type { TransportAddress } from './address.ts'
import { FAMILY_CODE } from './attribute-types.ts'
import type { StunReader } from './reader.ts'
import { IPV4_VALUE_BYTES, IPV6_VALUE_BYTES, readUint16, readUint32, readXorAddressAt } from './wire.ts'

/** Longest values in bytes (RFC 8489 §14.3, §14.9, §14.10; reason phrase §14.8). */
export const USERNAME_BYTES_MAX = 508
export const REALM_BYTES_MAX = 763
export const NONCE_BYTES_MAX = 763
const REASON_BYTES_MAX = 763

const DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads an XOR-…-ADDRESS attribute; false when it is malformed (RFC 8489 §14.2). */
export function readXorAddress(reader: StunReader, index: number, into: TransportAddress): boolean {
  const at = reader.valueOffset(index)
  return readXorAddressAt(reader.buffer, reader.offset, at, reader.valueLength(index), into)
}

/** Reads an address that is not xored, such as ALTERNATE-SERVER; false when it is malformed (RFC 8489 §14.1). */
export function readAddress(reader: StunReader, index: number, into: TransportAddress): boolean {
  const { buffer } = reader
  const at = reader.valueOffset(index)
  const length = reader.valueLength(index)
  if (length === IPV4_VALUE_BYTES && buffer[at + 1] === FAMILY_CODE.IPv4) {
    into.set4(readUint32(buffer, at + 4), readUint16(buffer, at + 2))
    return true
  }
  if (length !== IPV6_VALUE_BYTES || buffer[at + 1] !== FAMILY_CODE.IPv6) return false
  const [w0, w1, w2, w3] = [4, 8, 12, 16].map((word) => readUint32(buffer, at + word))
  into.set6(w0!, w1!, w2!, w3!, readUint16(buffer, at + 2))
  return true
}

/** A 32-bit value such as LIFETIME, or undefined when its length is wrong. */
export function readUint32Value(reader: StunReader, index: number): number | undefined {
  return reader.valueLength(index) === 4 ? readUint32(reader.buffer, reader.valueOffset(index)) : undefined
}

/** The first byte of a four-byte value: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY; undefined when its length is wrong. */
export function readFirstByte(reader: StunReader, index: number): number | undefined {
  return reader.valueLength(index) === 4 ? reader.buffer[reader.valueOffset(index)] : undefined
}

/** CHANNEL-NUMBER, or undefined when its length is wrong (RFC 8656 §18.1). */
export function readChannelNumber(reader: StunReader, index: number): number | undefined {
  return reader.valueLength(index) === 4 ? readUint16(reader.buffer, reader.valueOffset(index)) : undefined
}

/** A text value, or undefined when it is longer than `maxBytes` or not UTF-8. */
export function readText(reader: StunReader, index: number, maxBytes: number): string | undefined {
  if (reader.valueLength(index) > maxBytes) return undefined
  try {
    return DECODER.decode(reader.value(index))
  } catch {
    return undefined
  }
}

/** The number and phrase of ERROR-CODE, or undefined when it is malformed (RFC 8489 §14.8). */
export function readErrorCode(
  reader: StunReader,
  index: number,
): { code: number; reason: string } | undefined {
  const length = reader.valueLength(index)
  if (length < 4 || length > 4 + REASON_BYTES_MAX) return undefined
  const at = reader.valueOffset(index)
  const hundreds = reader.buffer[at + 2]! & 0x07
  const rest = reader.buffer[at + 3]!
  if (hundreds < 3 || hundreds > 6 || rest > 99) return undefined
  const reason = new TextDecoder().decode(reader.buffer.subarray(at + 4, at + length))
  return { code: hundreds * 100 + rest, reason }
}

/** UNKNOWN-ATTRIBUTES: the types that the server did not know (RFC 8489 §14.13). */
export function readTypeList(reader: StunReader, index: number): number[] {
  const types: number[] = []
  const at = reader.valueOffset(index)
  for (let i = 0; i + 2 <= reader.valueLength(index); i += 2) types.push(readUint16(reader.buffer, at + i))
  return types
}
