import type { Writable } from 'node:stream'
import { FrameQueue } from '../frame-queue.ts'

/** Frames go to the stream in pieces of this size: one system call or TLS write for many of them. */
const WRITE_BYTES = 65_536

/** The bounded queue in front of one stream: frames are gathered until `flush` and written as one. */
export class StreamWriter {
  readonly #stream: Writable
  readonly #queue: FrameQueue

  constructor(stream: Writable, maxBytes: number, dropped: () => void) {
    this.#stream = stream
    this.#queue = new FrameQueue(maxBytes, dropped)
    stream.on('drain', () => this.flush())
  }

  /** Copies a frame into the queue, at the cost of the oldest media where there is no room. */
  push(buffer: Uint8Array, offset: number, length: number): void {
    this.#queue.push(buffer, offset, length)
  }

  /** Hands the stream as much as it takes without queueing beyond its own high-water mark. */
  flush(): void {
    while (!this.#stream.writableNeedDrain && this.#writeBatch());
  }

  /** Hands the stream everything at once: it goes on without frames. */
  release(): void {
    while (this.#writeBatch());
  }

  /** False where nothing waits. */
  #writeBatch(): boolean {
    const batch: Uint8Array[] = []
    let size = 0
    for (let frame = this.#queue.peek(); frame && size < WRITE_BYTES; frame = this.#queue.peek()) {
      batch.push(frame)
      size += frame.length
      this.#queue.shift()
    }
    if (batch.length === 0) return false
    this.#stream.write(batch.length === 1 ? batch[0] : Buffer.concat(batch))
    return true
  }
}
