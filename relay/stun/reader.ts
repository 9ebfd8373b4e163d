import { ATTRIBUTE, isComprehensionRequired } from './attribute-types.ts'
import { crc32 } from './crc32.ts'
import type { StunCrypto } from './crypto.ts'
import { CLASS, classOf, type MessageClass, methodOf } from './methods.ts'
import {
  ATTRIBUTE_HEADER_BYTES,
  FINGERPRINT_XOR,
  HEADER_BYTES,
  MAGIC_COOKIE,
  padded,
  readUint16,
  readUint32,
  TRANSACTION_ID_BYTES,
  writeUint16,
} from './wire.ts'

/** Most attributes one message may carry; more is malformed. */
export const ATTRIBUTES_MAX = 128

const SHA1_BYTES = 20
const SHA256_BYTES = 32
/** Shortest MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6). */
const SHA256_BYTES_MIN = 16
const EMPTY: readonly number[] = []

/** What `StunReader.read` made of the bytes: `not-stun` is somebody else's datagram, `malformed` a broken STUN message. */
export type ReadResult = 'ok' | 'not-stun' | 'malformed'

/**
 * Reads STUN messages (RFC 8489 §5, §6.3, §14). One instance is reused: `read` allocates nothing, and all
 * that is read stays a view of the buffer, valid until the buffer changes or the next `read`.
 */
export class StunReader {
  buffer: Uint8Array = new Uint8Array(0)
  /** Where the message starts in `buffer`, and its length with the header. */
  offset = 0
  length = 0
  method = 0
  messageClass: MessageClass = CLASS.Request
  /** The transaction id as three 32-bit words. */
  id0 = 0
  id1 = 0
  id2 = 0
  /** Attributes in order, those that must be ignored left out (RFC 8489 §14.5, §14.6). */
  attributeCount = 0
  hasFingerprint = false
  readonly #types = new Uint16Array(ATTRIBUTES_MAX)
  readonly #offsets = new Uint32Array(ATTRIBUTES_MAX)
  readonly #lengths = new Uint16Array(ATTRIBUTES_MAX)
  /** Offsets of the integrity attributes' values in `buffer`; 0 is none, as a header precedes them. */
  #integrity = 0
  #integritySha256 = 0
  #integritySha256Bytes = 0

  read(buffer: Uint8Array, offset: number, length: number): ReadResult {
    this.attributeCount = 0
    this.hasFingerprint = false
    this.#integrity = 0
    this.#integritySha256 = 0
    if (length < HEADER_BYTES || buffer[offset]! > 0x3f) return 'not-stun'
    if (readUint32(buffer, offset + 4) !== MAGIC_COOKIE) return 'not-stun'
    const body = readUint16(buffer, offset + 2)
    if (body % 4 !== 0 || body + HEADER_BYTES !== length) return 'malformed'
    const type = readUint16(buffer, offset)
    this.buffer = buffer
    this.offset = offset
    this.length = length
    this.method = methodOf(type)
    this.messageClass = classOf(type)
    this.id0 = readUint32(buffer, offset + 8)
    this.id1 = readUint32(buffer, offset + 12)
    this.id2 = readUint32(buffer, offset + 16)
    return this.#readAttributes() ? 'ok' : 'malformed'
  }

  /** The index of the first attribute of this type after index `after`, or -1. Of duplicates the first counts (RFC 8489 §14). */
  find(type: number, after = -1): number {
    for (let i = after + 1; i < this.attributeCount; i++) if (this.#types[i] === type) return i
    return -1
  }

  has(type: number): boolean {
    return this.find(type) >= 0
  }

  typeAt(index: number): number {
    return this.#types[index]!
  }

  /** Where the value of an attribute starts in `buffer`. */
  valueOffset(index: number): number {
    return this.#offsets[index]!
  }

  /** The length of an attribute's value without padding. */
  valueLength(index: number): number {
    return this.#lengths[index]!
  }

  /** The value of an attribute: a view of `buffer`. */
  value(index: number): Uint8Array {
    const start = this.#offsets[index]!
    return this.buffer.subarray(start, start + this.#lengths[index]!)
  }

  /** A copy of the transaction id, for what outlives the buffer. */
  copyTransactionId(): Uint8Array {
    const start = this.offset + HEADER_BYTES - TRANSACTION_ID_BYTES
    return this.buffer.slice(start, start + TRANSACTION_ID_BYTES)
  }

  /** Types of the comprehension-required attributes that are not `known`, each once (RFC 8489 §6.3.1). */
  unknownRequired(known: ReadonlySet<number>): readonly number[] {
    let unknown = EMPTY
    for (let i = 0; i < this.attributeCount; i++) {
      const type = this.#types[i]!
      if (!isComprehensionRequired(type) || known.has(type) || unknown.includes(type)) continue
      unknown = [...unknown, type]
    }
    return unknown
  }

  get hasIntegrity(): boolean {
    return this.#integrity !== 0
  }

  get hasIntegritySha256(): boolean {
    return this.#integritySha256 !== 0
  }

  /** Whether MESSAGE-INTEGRITY is there and right (RFC 8489 §14.5). */
  verifyIntegrity(key: Uint8Array, crypto: StunCrypto): boolean {
    const at = this.#integrity
    if (at === 0) return false
    const expected = this.#withLengthUpTo(at + SHA1_BYTES, at, (covered) => crypto.hmacSha1(key, covered))
    return crypto.equal(expected, this.buffer.subarray(at, at + SHA1_BYTES))
  }

  /** Whether MESSAGE-INTEGRITY-SHA256 is there, at least `minBytes` long, and right (RFC 8489 §14.6). */
  verifyIntegritySha256(key: Uint8Array, crypto: StunCrypto, minBytes = SHA256_BYTES_MIN): boolean {
    const at = this.#integritySha256
    const bytes = this.#integritySha256Bytes
    if (at === 0 || bytes < minBytes) return false
    const expected = this.#withLengthUpTo(at + bytes, at, (covered) => crypto.hmacSha256(key, covered))
    return crypto.equal(expected.subarray(0, bytes), this.buffer.subarray(at, at + bytes))
  }

  /** Calls `compute` on the message before the attribute with value at `at`, its length field ending at `end`. */
  #withLengthUpTo(end: number, at: number, compute: (covered: Uint8Array) => Uint8Array): Uint8Array {
    const { buffer, offset } = this
    writeUint16(buffer, offset + 2, end - offset - HEADER_BYTES)
    const result = compute(buffer.subarray(offset, at - ATTRIBUTE_HEADER_BYTES))
    writeUint16(buffer, offset + 2, this.length - HEADER_BYTES)
    return result
  }

  #readAttributes(): boolean {
    const end = this.offset + this.length
    let at = this.offset + HEADER_BYTES
    while (at < end) {
      const type = readUint16(this.buffer, at)
      const length = readUint16(this.buffer, at + 2)
      const value = at + ATTRIBUTE_HEADER_BYTES
      if (length > end - value) return false
      if (!this.#take(type, value, length)) return false
      at = value + padded(length)
    }
    return true
  }

  #take(type: number, value: number, length: number): boolean {
    if (type === ATTRIBUTE.Fingerprint) return this.#takeFingerprint(value, length)
    if (this.#integritySha256 !== 0) return true
    if (type === ATTRIBUTE.MessageIntegritySha256) return this.#takeSha256(type, value, length)
    if (this.#integrity !== 0) return true
    if (type === ATTRIBUTE.MessageIntegrity) {
      if (length !== SHA1_BYTES) return false
      this.#integrity = value
    }
    return this.#index(type, value, length)
  }

  #takeSha256(type: number, value: number, length: number): boolean {
    if (length < SHA256_BYTES_MIN || length > SHA256_BYTES || length % 4 !== 0) return false
    this.#integritySha256 = value
    this.#integritySha256Bytes = length
    return this.#index(type, value, length)
  }

  /** FINGERPRINT is right and the last attribute (RFC 8489 §14.7). */
  #takeFingerprint(value: number, length: number): boolean {
    if (length !== 4 || value + length !== this.offset + this.length) return false
    const crc = crc32(this.buffer, this.offset, value - ATTRIBUTE_HEADER_BYTES)
    this.hasFingerprint = (crc ^ FINGERPRINT_XOR) >>> 0 === readUint32(this.buffer, value)
    return this.hasFingerprint
  }

  #index(type: number, value: number, length: number): boolean {
    const index = this.attributeCount
    if (index === ATTRIBUTES_MAX) return false
    this.#types[index] = type
    this.#offsets[index] = value
    this.#lengths[index] = length
    this.attributeCount = index + 1
    return true
  }
}
