import { ATTRIBUTE } from './attribute-types.ts'
import type { StunCrypto } from './crypto.ts'
import { longTermKey, longTermKeySha256 } from './integrity.ts'
import type { StunReader } from './reader.ts'
import { readUint16, readUint32 } from './wire.ts'

/** How a long-term key is derived from a password (RFC 8489 §18.5). */
export type PasswordAlgorithm = 'md5' | 'sha256'

/** The value of PASSWORD-ALGORITHMS that a server offers: SHA-256, then MD5, neither with parameters (RFC 8489 §14.11). */
export const OFFERED_PASSWORD_ALGORITHMS: Uint8Array = Uint8Array.of(0, 2, 0, 0, 0, 1, 0, 0)

const ALGORITHMS: ReadonlyMap<number, PasswordAlgorithm> = new Map([
  [0x0001, 'md5'],
  [0x0002, 'sha256'],
])
const VALUES = { md5: 0x0001_0000, sha256: 0x0002_0000 } as const
const ENTRY_BYTES = 4

/** PASSWORD-ALGORITHM as one 32-bit value: its number, and the length of its parameters, which is 0 (RFC 8489 §14.12). */
export function passwordAlgorithmValue(algorithm: PasswordAlgorithm): number {
  return VALUES[algorithm]
}

/** PASSWORD-ALGORITHM; undefined where it is malformed or names no known algorithm (RFC 8489 §14.12). */
export function readPasswordAlgorithm(reader: StunReader): PasswordAlgorithm | undefined {
  const index = reader.find(ATTRIBUTE.PasswordAlgorithm)
  if (index < 0 || reader.valueLength(index) !== ENTRY_BYTES) return undefined
  const value = readUint32(reader.buffer, reader.valueOffset(index))
  return (value & 0xffff) === 0 ? ALGORITHMS.get(value >>> 16) : undefined
}

/** The first algorithm of PASSWORD-ALGORITHMS that we know; undefined where there is none (RFC 8489 §9.2.5). */
export function firstKnownAlgorithm(offered: Uint8Array): PasswordAlgorithm | undefined {
  let at = 0
  while (at + ENTRY_BYTES <= offered.length) {
    const parameterBytes = readUint16(offered, at + 2)
    const known = ALGORITHMS.get(readUint16(offered, at))
    if (known && parameterBytes === 0) return known
    at += ENTRY_BYTES + ((parameterBytes + 3) & ~3)
  }
  return undefined
}

/** The long-term credential key under an algorithm (RFC 8489 §9.2.2, §18.5.1). */
export function passwordKey(
  crypto: StunCrypto,
  algorithm: PasswordAlgorithm,
  username: string,
  realm: string,
  password: string,
): Uint8Array {
  const derive = algorithm === 'md5' ? longTermKey : longTermKeySha256
  return derive(crypto, username, realm, password)
}
