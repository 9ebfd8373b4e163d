import { PROXY_HEADER_BYTES_MAX, ProxyHeader } from '../../stun/proxy-header.ts'

/** The header that a balancer sends in front of a stream, in whatever pieces it comes. */
export class StreamPreface {
  readonly header = new ProxyHeader()
  #bytes: Uint8Array | undefined
  #length = 0

  /**
   * Takes what was read: returns how many of these bytes were the last of the header, 0 where all of them were
   * taken and more must come, -1 where it is no header.
   */
  take(chunk: Uint8Array): number {
    const before = this.#length
    const bytes = before > 0 ? this.#append(chunk) : chunk
    const total = this.header.read(bytes, 0, Math.min(before + chunk.length, bytes.length), 'stream')
    if (total === 0 && before === 0) this.#append(chunk)
    if (total > 0) this.#bytes = undefined
    return total > 0 ? total - before : total
  }

  /** No header is longer than the buffer, so that what does not fit lies behind one. */
  #append(chunk: Uint8Array): Uint8Array {
    this.#bytes ??= new Uint8Array(PROXY_HEADER_BYTES_MAX)
    const fitting = chunk.subarray(0, PROXY_HEADER_BYTES_MAX - this.#length)
    this.#bytes.set(fitting, this.#length)
    this.#length += fitting.length
    return this.#bytes
  }
}
