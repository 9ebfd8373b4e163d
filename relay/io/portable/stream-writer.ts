import type { Writable } from 'node:stream'
import { copyOf } from './copy-of.ts'

/** What a queued frame costs beyond its bytes, so that many tiny ones count for what they occupy. */
const FRAME_OVERHEAD_BYTES = 128
/** Responses may wait beyond the limit for media, but not without end. */
const RESPONSE_EXTRA_BYTES = 65_536
/** Frames go to the stream in pieces of this size: one system call or TLS write for many of them. */
const WRITE_BYTES = 65_536
const MIN_COMPACT = 256

interface Frame {
  bytes: Uint8Array | undefined
  readonly response: boolean
}

/**
 * The bounded queue in front of one stream. Frames are gathered until `flush` and written as one; when the
 * client reads too slowly the oldest media is dropped, since late media is worth least.
 */
export class StreamWriter {
  readonly #stream: Writable
  readonly #maxBytes: number
  readonly #dropped: () => void
  #frames: Frame[] = []
  #head = 0
  #oldestMedia = 0
  #bytes = 0

  constructor(stream: Writable, maxBytes: number, dropped: () => void) {
    this.#stream = stream
    this.#maxBytes = maxBytes
    this.#dropped = dropped
    stream.on('drain', () => this.flush())
  }

  /** Copies a frame into the queue, at the cost of the oldest media where there is no room. */
  push(buffer: Uint8Array, offset: number, length: number): void {
    const response = isResponse(buffer, offset, length)
    const limit = this.#maxBytes + (response ? RESPONSE_EXTRA_BYTES : 0)
    const cost = length + FRAME_OVERHEAD_BYTES
    while (this.#bytes + cost > limit) {
      if (this.#dropOldestMedia()) continue
      this.#dropped()
      return
    }
    this.#frames.push({ bytes: copyOf(buffer, offset, length), response })
    this.#bytes += cost
  }

  /** Hands the stream as much as it takes without queueing beyond its own high-water mark. */
  flush(): void {
    while (this.#head < this.#frames.length && !this.#stream.writableNeedDrain) {
      const batch = this.#takeBatch()
      if (batch.length > 0) this.#stream.write(batch.length === 1 ? batch[0] : Buffer.concat(batch))
    }
    this.#compact()
  }

  /** Hands the stream everything at once: it goes on without frames. */
  release(): void {
    while (this.#head < this.#frames.length) this.#stream.write(Buffer.concat(this.#takeBatch()))
    this.#compact()
  }

  #takeBatch(): Uint8Array[] {
    const batch: Uint8Array[] = []
    let size = 0
    while (this.#head < this.#frames.length && size < WRITE_BYTES) {
      const { bytes } = this.#frames[this.#head++]!
      if (!bytes) continue
      batch.push(bytes)
      size += bytes.length
      this.#bytes -= bytes.length + FRAME_OVERHEAD_BYTES
    }
    return batch
  }

  #dropOldestMedia(): boolean {
    if (this.#oldestMedia < this.#head) this.#oldestMedia = this.#head
    while (this.#oldestMedia < this.#frames.length) {
      const frame = this.#frames[this.#oldestMedia++]!
      if (frame.response || !frame.bytes) continue
      this.#bytes -= frame.bytes.length + FRAME_OVERHEAD_BYTES
      frame.bytes = undefined
      this.#dropped()
      this.#trimHead()
      return true
    }
    return false
  }

  /** Dropped frames at the front are forgotten, so that a client that never reads costs no growing list. */
  #trimHead(): void {
    while (this.#head < this.#frames.length && !this.#frames[this.#head]!.bytes) this.#head++
    this.#compact()
  }

  #compact(): void {
    if (this.#head < MIN_COMPACT || this.#head * 2 < this.#frames.length) {
      if (this.#head < this.#frames.length) return
    }
    this.#frames = this.#frames.slice(this.#head)
    this.#oldestMedia = Math.max(0, this.#oldestMedia - this.#head)
    this.#head = 0
  }
}

/** The class bits 1x of a STUN response: the lower bit of the first byte (RFC 8489 §5). */
function isResponse(buffer: Uint8Array, offset: number, length: number): boolean {
  return length >= 2 && (buffer[offset]! & 0xc1) === 0x01
}
