import { CHANNEL_HEADER_BYTES, isChannelDataByte } from './channel-data.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from './rooms.ts'
import { HEADER_BYTES, MAGIC_COOKIE, padded, readUint16, readUint32 } from './wire.ts'

/** Longest frame of a stream: a STUN header and a body of 65,532 bytes; a padded ChannelData is shorter. */
export const FRAME_BYTES_MAX = HEADER_BYTES + 65532

/** Bytes that tell how long a frame is. */
const LENGTH_BYTES = 4
const COOKIE_END = 8
const PARTIAL_BYTES_MIN = 1024
/** A buffer for partial frames that is larger than this is let go once its frame is handed out. */
const PARTIAL_BYTES_KEPT = 4096

/** A whole STUN message or ChannelData frame (with its padding) in `buffer[offset, offset + length)`, with HEAD_ROOM_BYTES before and TAIL_ROOM_BYTES behind that may be overwritten; valid until the next call of the framer. */
export interface Frame {
  buffer: Uint8Array
  offset: number
  length: number
}

/**
 * Cuts a TCP or TLS stream into STUN messages and ChannelData frames (RFC 8489 §6.2.2, RFC 8656 §12.5).
 * The first frame must be STUN; anything that is neither ends the stream: `failed` is true from then on.
 *
 * Call `push` with each chunk and then `next` until it returns undefined. A frame that lies whole in the
 * chunk is not copied when the caller left the head and tail room around it.
 */
export class StreamFramer {
  failed = false
  readonly #frame: Frame = { buffer: new Uint8Array(0), offset: 0, length: 0 }
  #chunk: Uint8Array = this.#frame.buffer
  #at = 0
  #end = 0
  /** The start of a frame whose rest has not come, from HEAD_ROOM_BYTES on. */
  #partial: Uint8Array | undefined
  #partialLength = 0
  #sawFirst = false
  /** Bytes of the next frame that the tail room of the last one overlaps. */
  readonly #saved = new Uint8Array(TAIL_ROOM_BYTES)
  #savedLength = 0

  /** Bytes of an unfinished frame that are held. */
  get pendingBytes(): number {
    return this.#partialLength
  }

  /** Hands in what was read: `buffer[offset, offset + length)`. All earlier bytes must have been taken by `next`. */
  push(buffer: Uint8Array, offset: number, length: number): void {
    this.#restoreTail()
    this.#chunk = buffer
    this.#at = offset
    this.#end = offset + length
  }

  /** The next whole frame (one reused object), or undefined when more bytes are needed or the stream failed. */
  next(): Frame | undefined {
    this.#restoreTail()
    if (this.failed || this.#at === this.#end) return undefined
    return this.#partialLength > 0 ? this.#nextFromPartial() : this.#nextFromChunk()
  }

  /** Takes out all that was not handed out as a frame, copied: from here on the stream carries no frames. */
  takeRest(): Uint8Array {
    this.#restoreTail()
    const rest = new Uint8Array(this.#partialLength + this.#end - this.#at)
    if (this.#partial)
      rest.set(this.#partial.subarray(HEAD_ROOM_BYTES, HEAD_ROOM_BYTES + this.#partialLength))
    rest.set(this.#chunk.subarray(this.#at, this.#end), this.#partialLength)
    this.#partial = undefined
    this.#partialLength = 0
    this.#at = this.#end
    return rest
  }

  #nextFromChunk(): Frame | undefined {
    const total = this.#frameLength(this.#chunk, this.#at, this.#end - this.#at)
    if (this.failed) return undefined
    if (total === 0 || total > this.#end - this.#at) {
      this.#keep(this.#end - this.#at, total)
      return undefined
    }
    if (this.#at < HEAD_ROOM_BYTES || this.#at + total + TAIL_ROOM_BYTES > this.#chunk.length) {
      this.#keep(total, total)
      return this.#takePartial()
    }
    const start = this.#at
    this.#at = start + total
    this.#saveTail()
    return this.#out(this.#chunk, start, total)
  }

  #nextFromPartial(): Frame | undefined {
    let total = this.#partialTotal()
    if (total === 0) {
      this.#keep(Math.min(LENGTH_BYTES - this.#partialLength, this.#end - this.#at), 0)
      total = this.#partialTotal()
    }
    if (this.failed || total === 0) return undefined
    this.#keep(Math.min(total - this.#partialLength, this.#end - this.#at), total)
    // Again, as the cookie may have come only now.
    this.#partialTotal()
    return !this.failed && this.#partialLength >= total ? this.#takePartial() : undefined
  }

  #partialTotal(): number {
    return this.#frameLength(this.#partial!, HEAD_ROOM_BYTES, this.#partialLength)
  }

  /** The length of the frame at `at`, padding included, or 0 when too little is there to tell; sets `failed`. */
  #frameLength(buffer: Uint8Array, at: number, available: number): number {
    const first = buffer[at]!
    if (first > 0x3f && !(this.#sawFirst && isChannelDataByte(first))) this.failed = true
    if (this.failed || available < LENGTH_BYTES) return 0
    const length = readUint16(buffer, at + 2)
    if (first > 0x3f) return CHANNEL_HEADER_BYTES + padded(length)
    if (length % 4 !== 0) this.failed = true
    if (available >= COOKIE_END && readUint32(buffer, at + 4) !== MAGIC_COOKIE) this.failed = true
    return HEADER_BYTES + length
  }

  /** Moves `count` bytes of the chunk behind the partial frame; `total` is the frame's length when known. */
  #keep(count: number, total: number): void {
    const needed = this.#partialLength + count
    const partial = this.#room(needed, total)
    partial.set(this.#chunk.subarray(this.#at, this.#at + count), HEAD_ROOM_BYTES + this.#partialLength)
    this.#partialLength = needed
    this.#at += count
  }

  /** A partial buffer for `needed` bytes; it grows by doubling and with what came, not with what a header claims. */
  #room(needed: number, total: number): Uint8Array {
    const around = HEAD_ROOM_BYTES + TAIL_ROOM_BYTES
    const old = this.#partial
    if (old !== undefined && old.length >= needed + around) return old
    const wanted = Math.max(needed, Math.min(total, needed * 2), PARTIAL_BYTES_MIN)
    const grown = new Uint8Array(wanted + around)
    if (old !== undefined) grown.set(old.subarray(0, HEAD_ROOM_BYTES + this.#partialLength))
    this.#partial = grown
    return grown
  }

  #takePartial(): Frame {
    const partial = this.#partial!
    const length = this.#partialLength
    this.#partialLength = 0
    if (partial.length > PARTIAL_BYTES_KEPT) this.#partial = undefined
    return this.#out(partial, HEAD_ROOM_BYTES, length)
  }

  #out(buffer: Uint8Array, offset: number, length: number): Frame {
    this.#sawFirst = true
    this.#frame.buffer = buffer
    this.#frame.offset = offset
    this.#frame.length = length
    return this.#frame
  }

  #saveTail(): void {
    this.#savedLength = Math.min(TAIL_ROOM_BYTES, this.#end - this.#at)
    for (let i = 0; i < this.#savedLength; i++) this.#saved[i] = this.#chunk[this.#at + i]!
  }

  #restoreTail(): void {
    for (let i = 0; i < this.#savedLength; i++) this.#chunk[this.#at + i] = this.#saved[i]!
    this.#savedLength = 0
  }
}
