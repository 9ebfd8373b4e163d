import type { TransportAddress } from './address.ts'
import { ATTRIBUTE } from './attribute-types.ts'
import { crc32 } from './crc32.ts'
import type { StunCrypto } from './crypto.ts'
import { CLASS, type MessageClass, messageType } from './methods.ts'
import type { StunReader } from './reader.ts'
import {
  ATTRIBUTE_HEADER_BYTES,
  FINGERPRINT_XOR,
  HEADER_BYTES,
  padded,
  readUint32,
  writeHeader,
  writeUint16,
  writeUint32,
  writeXorAddress,
  xorAddressBytes,
} from './wire.ts'

/** Largest message a writer makes by default: more than any response needs; a client that sends DATA asks for more. */
const MESSAGE_BYTES_MAX = 2048

const SHA1_BYTES = 20
const SHA256_BYTES = 32
const ENCODER = new TextEncoder()
const NO_BYTES = new Uint8Array(0)
/** Up to so many bytes a loop is faster than a call of the engine. */
const LOOP_BYTES_MAX = 128

/** A transaction id as three 32-bit words; `StunReader` is one. */
export interface TransactionWords {
  readonly id0: number
  readonly id1: number
  readonly id2: number
}

/** What closes a message; `crypto` is needed with a key. */
export interface FinishOptions {
  /** Adds MESSAGE-INTEGRITY (RFC 8489 §14.5). */
  readonly integrityKey?: Uint8Array | undefined
  /** Adds MESSAGE-INTEGRITY-SHA256, after MESSAGE-INTEGRITY when both are asked for (RFC 8489 §14.6). */
  readonly sha256Key?: Uint8Array | undefined
  readonly crypto?: StunCrypto | undefined
  /** Adds FINGERPRINT (RFC 8489 §14.7). */
  readonly fingerprint?: boolean | undefined
}

/**
 * Writes STUN messages into one reused scratch buffer (RFC 8489 §5, §14). An attribute that does not fit is
 * a fault of the program and throws a RangeError: what comes from the wire must be bounded before.
 */
export class StunWriter {
  readonly #scratch: Uint8Array
  readonly #slabBytes: number
  #slab = NO_BYTES
  #slabUsed = 0
  #length = 0

  /**
   * With `slabBytes`, finished messages share buffers of that size: for one who writes many that are soon forgotten,
   * since most of what a buffer of its own costs is to make it and to free it.
   */
  constructor(maxBytes: number = MESSAGE_BYTES_MAX, slabBytes = 0) {
    this.#scratch = new Uint8Array(maxBytes)
    this.#slabBytes = slabBytes
  }

  /** Starts a message with a transaction id of twelve bytes. */
  start(method: number, messageClass: MessageClass, transactionId: Uint8Array): this {
    return this.startWords(method, messageClass, {
      id0: readUint32(transactionId, 0),
      id1: readUint32(transactionId, 4),
      id2: readUint32(transactionId, 8),
    })
  }

  startWords(method: number, messageClass: MessageClass, id: TransactionWords): this {
    writeHeader(this.#scratch, 0, messageType(method, messageClass), 0, id)
    this.#length = HEADER_BYTES
    return this
  }

  /** Starts the success response to a request. */
  startSuccess(request: StunReader): this {
    return this.startWords(request.method, CLASS.Success, request)
  }

  /** Starts the error response to a request, with its ERROR-CODE; an empty reason keeps it short (RFC 8489 §14.8). */
  startError(request: StunReader, code: number, reason = ''): this {
    return this.startWords(request.method, CLASS.Error, request).addErrorCode(code, reason)
  }

  addBytes(type: number, value: Uint8Array): this {
    const at = this.#reserve(type, value.length)
    copy(value, value.length, this.#scratch, at)
    return this
  }

  addText(type: number, text: string): this {
    return this.addBytes(type, ENCODER.encode(text))
  }

  /** An attribute without a value, such as DONT-FRAGMENT. */
  addFlag(type: number): this {
    this.#reserve(type, 0)
    return this
  }

  addUint32(type: number, value: number): this {
    writeUint32(this.#scratch, this.#reserve(type, 4), value)
    return this
  }

  /** A byte and three zero bytes: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY, ADDITIONAL-ADDRESS-FAMILY. */
  addFirstByte(type: number, value: number): this {
    return this.addUint32(type, value << 24)
  }

  /** EVEN-PORT: one byte, the R bit its highest (RFC 8656 §18.6). */
  addEvenPort(reserveNext: boolean): this {
    this.#scratch[this.#reserve(ATTRIBUTE.EvenPort, 1)] = reserveNext ? 0x80 : 0
    return this
  }

  addChannelNumber(channel: number): this {
    return this.addUint32(ATTRIBUTE.ChannelNumber, channel << 16)
  }

  addXorAddress(type: number, address: TransportAddress): this {
    const start = this.#length
    this.#reserve(type, xorAddressBytes(address.family) - ATTRIBUTE_HEADER_BYTES)
    writeXorAddress(this.#scratch, 0, start, type, address)
    return this
  }

  /** An address that is not xored: ALTERNATE-SERVER, MAPPED-ADDRESS (RFC 8489 §14.1, §14.15). */
  addAddress(type: number, address: TransportAddress): this {
    const v4 = address.family === 4
    const at = this.#reserve(type, xorAddressBytes(address.family) - ATTRIBUTE_HEADER_BYTES)
    this.#scratch[at + 1] = v4 ? 1 : 2
    writeUint16(this.#scratch, at + 2, address.port)
    if (!v4) {
      writeUint32(this.#scratch, at + 4, address.w0)
      writeUint32(this.#scratch, at + 8, address.w1)
      writeUint32(this.#scratch, at + 12, address.w2)
    }
    writeUint32(this.#scratch, at + (v4 ? 4 : 16), address.w3)
    return this
  }

  addErrorCode(code: number, reason = ''): this {
    const phrase = reason === '' ? NO_BYTES : ENCODER.encode(reason)
    const at = this.#reserve(ATTRIBUTE.ErrorCode, 4 + phrase.length)
    this.#scratch[at + 2] = Math.floor(code / 100)
    this.#scratch[at + 3] = code % 100
    copy(phrase, phrase.length, this.#scratch, at + 4)
    return this
  }

  /** ADDRESS-ERROR-CODE: the family that could not be had, and why (RFC 8656 §18.12). */
  addAddressErrorCode(familyCode: number, code: number, reason = ''): this {
    const phrase = ENCODER.encode(reason)
    const at = this.#reserve(ATTRIBUTE.AddressErrorCode, 4 + phrase.length)
    this.#scratch[at] = familyCode
    this.#scratch[at + 2] = Math.floor(code / 100)
    this.#scratch[at + 3] = code % 100
    this.#scratch.set(phrase, at + 4)
    return this
  }

  /** ICMP: type, code, and the next hop's MTU where the error names one (RFC 8656 §18.13). */
  addIcmp(icmpType: number, icmpCode: number, mtu: number): this {
    const at = this.#reserve(ATTRIBUTE.Icmp, 8)
    this.#scratch[at + 2] = icmpType
    this.#scratch[at + 3] = icmpCode
    writeUint32(this.#scratch, at + 4, mtu)
    return this
  }

  /** UNKNOWN-ATTRIBUTES (RFC 8489 §14.13). */
  addTypeList(types: readonly number[]): this {
    const at = this.#reserve(ATTRIBUTE.UnknownAttributes, types.length * 2)
    types.forEach((type, i) => {
      writeUint16(this.#scratch, at + i * 2, type)
    })
    return this
  }

  /** Closes the message and returns it: nobody else writes there. */
  finish(options: FinishOptions = {}): Uint8Array {
    const { crypto } = options
    if (options.integrityKey !== undefined && crypto !== undefined) {
      const key = options.integrityKey
      this.#addIntegrity(ATTRIBUTE.MessageIntegrity, SHA1_BYTES, (covered) => crypto.hmacSha1(key, covered))
    }
    if (options.sha256Key !== undefined && crypto !== undefined) {
      const key = options.sha256Key
      const type = ATTRIBUTE.MessageIntegritySha256
      this.#addIntegrity(type, SHA256_BYTES, (covered) => crypto.hmacSha256(key, covered))
    }
    if (options.fingerprint === true) {
      const covered = this.#length
      const at = this.#reserve(ATTRIBUTE.Fingerprint, 4)
      writeUint32(this.#scratch, at, crc32(this.#scratch, 0, covered) ^ FINGERPRINT_XOR)
    }
    return this.#slabBytes === 0 ? this.#scratch.slice(0, this.#length) : this.#copyIntoSlab()
  }

  #copyIntoSlab(): Uint8Array {
    const length = this.#length
    if (this.#slabUsed + length > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(this.#slabBytes, length))
      this.#slabUsed = 0
    }
    const start = this.#slabUsed
    this.#slabUsed = start + length
    copy(this.#scratch, length, this.#slab, start)
    return new Uint8Array(this.#slab.buffer, start, length)
  }

  #addIntegrity(type: number, bytes: number, compute: (covered: Uint8Array) => Uint8Array): void {
    const covered = this.#length
    const at = this.#reserve(type, bytes)
    this.#scratch.set(compute(this.#scratch.subarray(0, covered)), at)
  }

  /** Writes an attribute's header and zero padding, counts it into the message, and returns where its value goes. */
  #reserve(type: number, valueBytes: number): number {
    const at = this.#length
    const end = at + ATTRIBUTE_HEADER_BYTES + padded(valueBytes)
    if (end > this.#scratch.length) {
      throw new RangeError(
        `an attribute of ${valueBytes} bytes does not fit a STUN message of ${this.#scratch.length}`,
      )
    }
    writeUint16(this.#scratch, at, type)
    writeUint16(this.#scratch, at + 2, valueBytes)
    zero(this.#scratch, at + ATTRIBUTE_HEADER_BYTES, end)
    this.#length = end
    writeUint16(this.#scratch, 2, end - HEADER_BYTES)
    return at + ATTRIBUTE_HEADER_BYTES
  }
}

function copy(from: Uint8Array, length: number, into: Uint8Array, at: number): void {
  if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) into[at + i] = from[i]!
  else into.set(from.length === length ? from : from.subarray(0, length), at)
}

function zero(bytes: Uint8Array, start: number, end: number): void {
  if (end - start <= LOOP_BYTES_MAX) for (let i = start; i < end; i++) bytes[i] = 0
  else bytes.fill(0, start, end)
}
