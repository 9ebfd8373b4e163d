import { Duplex } from 'node:stream'

/** What the connection does for the stream that it became. */
export interface RawEnd {
  /** Reading was stopped or goes on. */
  watch(): void
  /** Have all frames gone? */
  framesGone(): boolean
  /** Writes bytes; false while some of them wait for the system. */
  write(bytes: Uint8Array): boolean
  /** Does nothing wait for the system? */
  idle(): boolean
  /** No more will be written. */
  shutdown(): void
  destroy(): void
}

/** A connection that carries no frames any more (RFC 6062 §5.4), as a stream of Node's. */
export class RawStream extends Duplex {
  /** Ends the splice that it is part of. */
  readonly endSplice: () => void
  readonly #end: RawEnd
  #paused = false
  /** To be called once the system has taken everything. */
  #drained: (() => void) | undefined

  constructor(end: RawEnd, endSplice: () => void) {
    super({ allowHalfOpen: true })
    this.#end = end
    this.endSplice = endSplice
  }

  /** Is nothing to be read, as who reads here is slow? */
  get stopped(): boolean {
    return this.#paused
  }

  received(bytes: Uint8Array): void {
    this.#paused = !this.push(bytes)
  }

  /** The system has taken everything. */
  drained(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }

  override _read(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#end.watch()
  }

  override _write(chunk: Uint8Array, encoding: BufferEncoding, done: () => void): void {
    if (!this.#end.framesGone()) this.#drained = () => this._write(chunk, encoding, done)
    else if (!this.#end.write(chunk)) this.#drained = done
    else {
      done()
      return
    }
    this.#end.watch()
  }

  override _final(done: () => void): void {
    const finish = () => {
      this.#end.shutdown()
      done()
    }
    if (this.#end.idle()) finish()
    else this.#drained = finish
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#drained = undefined
    this.#end.destroy()
    done(error)
  }
}
