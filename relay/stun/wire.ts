import type { TransportAddress } from './address.ts'
import { FAMILY_CODE } from './attribute-types.ts'

/** Bytes of a STUN header (RFC 8489 §5). */
export const HEADER_BYTES = 20
/** Bytes of the type and length before an attribute's value (RFC 8489 §14). */
export const ATTRIBUTE_HEADER_BYTES = 4
/** The value of bytes 4 to 7 of every STUN message (RFC 8489 §5). */
export const MAGIC_COOKIE = 0x2112a442
/** Bytes of a transaction id (RFC 8489 §5). */
export const TRANSACTION_ID_BYTES = 12
/** FINGERPRINT is a CRC-32 xored with this (RFC 8489 §14.7). */
export const FINGERPRINT_XOR = 0x5354554e
/** Bytes of the value of an XOR-…-ADDRESS (RFC 8489 §14.2). */
export const IPV4_VALUE_BYTES = 8
export const IPV6_VALUE_BYTES = 20

/** `length` rounded up to a multiple of four (RFC 8489 §14). */
export function padded(length: number): number {
  return (length + 3) & ~3
}

export function readUint16(buffer: Uint8Array, offset: number): number {
  return (buffer[offset]! << 8) | buffer[offset + 1]!
}

export function readUint32(buffer: Uint8Array, offset: number): number {
  return (
    ((buffer[offset]! << 24) |
      (buffer[offset + 1]! << 16) |
      (buffer[offset + 2]! << 8) |
      buffer[offset + 3]!) >>>
    0
  )
}

export function writeUint16(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value >>> 8
  buffer[offset + 1] = value
}

export function writeUint32(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value >>> 24
  buffer[offset + 1] = value >>> 16
  buffer[offset + 2] = value >>> 8
  buffer[offset + 3] = value
}

/** Writes a STUN header whose transaction id is three words; `bodyBytes` counts what follows the header. */
export function writeHeader(
  buffer: Uint8Array,
  offset: number,
  type: number,
  bodyBytes: number,
  id: { readonly id0: number; readonly id1: number; readonly id2: number },
): void {
  writeUint16(buffer, offset, type)
  writeUint16(buffer, offset + 2, bodyBytes)
  writeUint32(buffer, offset + 4, MAGIC_COOKIE)
  writeUint32(buffer, offset + 8, id.id0)
  writeUint32(buffer, offset + 12, id.id1)
  writeUint32(buffer, offset + 16, id.id2)
}

/** Bytes of a whole XOR-…-ADDRESS attribute of this family: 12 or 24. */
export function xorAddressBytes(family: 4 | 6): number {
  return ATTRIBUTE_HEADER_BYTES + (family === 4 ? IPV4_VALUE_BYTES : IPV6_VALUE_BYTES)
}

/** Writes a whole XOR-…-ADDRESS attribute into a message whose header starts at `header`; returns its end (RFC 8489 §14.2). */
export function writeXorAddress(
  buffer: Uint8Array,
  header: number,
  offset: number,
  attribute: number,
  address: TransportAddress,
): number {
  const v4 = address.family === 4
  const value = offset + ATTRIBUTE_HEADER_BYTES
  writeUint16(buffer, offset, attribute)
  writeUint16(buffer, offset + 2, v4 ? IPV4_VALUE_BYTES : IPV6_VALUE_BYTES)
  buffer[value] = 0
  buffer[value + 1] = v4 ? FAMILY_CODE.IPv4 : FAMILY_CODE.IPv6
  writeUint16(buffer, value + 2, address.port ^ (MAGIC_COOKIE >>> 16))
  if (v4) {
    writeUint32(buffer, value + 4, address.w3 ^ MAGIC_COOKIE)
    return value + IPV4_VALUE_BYTES
  }
  writeUint32(buffer, value + 4, address.w0 ^ MAGIC_COOKIE)
  writeUint32(buffer, value + 8, address.w1 ^ readUint32(buffer, header + 8))
  writeUint32(buffer, value + 12, address.w2 ^ readUint32(buffer, header + 12))
  writeUint32(buffer, value + 16, address.w3 ^ readUint32(buffer, header + 16))
  return value + IPV6_VALUE_BYTES
}

/** Reads the value of an XOR-…-ADDRESS at `value`; false when family or length is wrong, `into` then untouched (RFC 8489 §14.2). */
export function readXorAddressAt(
  buffer: Uint8Array,
  header: number,
  value: number,
  length: number,
  into: TransportAddress,
): boolean {
  const family = length >= 2 ? buffer[value + 1] : 0
  if (family === FAMILY_CODE.IPv4 && length === IPV4_VALUE_BYTES) {
    const port = readUint16(buffer, value + 2) ^ (MAGIC_COOKIE >>> 16)
    into.set4(readUint32(buffer, value + 4) ^ MAGIC_COOKIE, port)
    return true
  }
  if (family === FAMILY_CODE.IPv6 && length === IPV6_VALUE_BYTES) {
    into.set6(
      readUint32(buffer, value + 4) ^ MAGIC_COOKIE,
      readUint32(buffer, value + 8) ^ readUint32(buffer, header + 8),
      readUint32(buffer, value + 12) ^ readUint32(buffer, header + 12),
      readUint32(buffer, value + 16) ^ readUint32(buffer, header + 16),
      readUint16(buffer, value + 2) ^ (MAGIC_COOKIE >>> 16),
    )
    return true
  }
  return false
}
