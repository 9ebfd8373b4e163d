/** What a queued frame costs beyond its bytes, so that many tiny ones count for what they occupy. */
const FRAME_OVERHEAD_BYTES = 128
/** Responses may wait beyond the limit for media, but not without end. */
const RESPONSE_EXTRA_BYTES = 65_536
const MIN_COMPACT = 256

interface Frame {
  bytes: Uint8Array | undefined
  readonly response: boolean
}

/**
 * The frames that wait for one client that reads slowly, up to a limit: the oldest media makes room for what comes
 * later, since late media is worth least; responses are kept.
 */
export class FrameQueue {
  readonly #maxBytes: number
  readonly #dropped: () => void
  #frames: Frame[] = []
  #head = 0
  #oldestMedia = 0
  #bytes = 0

  constructor(maxBytes: number, dropped: () => void) {
    this.#maxBytes = maxBytes
    this.#dropped = dropped
  }

  get empty(): boolean {
    return this.#head === this.#frames.length
  }

  /** Copies a frame in, at the cost of the oldest media where there is no room. */
  push(buffer: Uint8Array, offset: number, length: number): void {
    const response = isResponse(buffer, offset, length)
    const limit = this.#maxBytes + (response ? RESPONSE_EXTRA_BYTES : 0)
    const cost = length + FRAME_OVERHEAD_BYTES
    while (this.#bytes + cost > limit) {
      if (this.#dropOldestMedia()) continue
      this.#dropped()
      return
    }
    const bytes = Buffer.allocUnsafe(length)
    bytes.set(buffer.subarray(offset, offset + length))
    this.#frames.push({ bytes, response })
    this.#bytes += cost
  }

  /** The frame whose turn it is, left where it is. */
  peek(): Uint8Array | undefined {
    while (this.#head < this.#frames.length && !this.#frames[this.#head]!.bytes) this.#head++
    return this.#frames[this.#head]?.bytes
  }

  /** Takes the frame that `peek` shows away. */
  shift(): void {
    const bytes = this.peek()
    if (!bytes) return
    this.#bytes -= bytes.length + FRAME_OVERHEAD_BYTES
    this.#frames[this.#head++]!.bytes = undefined
    this.#compact()
  }

  #dropOldestMedia(): boolean {
    if (this.#oldestMedia < this.#head) this.#oldestMedia = this.#head
    while (this.#oldestMedia < this.#frames.length) {
      const frame = this.#frames[this.#oldestMedia++]!
      if (frame.response || !frame.bytes) continue
      this.#bytes -= frame.bytes.length + FRAME_OVERHEAD_BYTES
      frame.bytes = undefined
      this.#dropped()
      this.peek()
      this.#compact()
      return true
    }
    return false
  }

  /** Frames that have gone are forgotten, so that a client that never reads costs no growing list. */
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
