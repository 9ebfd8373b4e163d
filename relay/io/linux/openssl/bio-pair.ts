import type { Memory } from '../memory.ts'
import {
  bioDatagrams,
  bioFree,
  bioMemory,
  bioNew,
  bioPending,
  bioRead,
  bioUpRef,
  bioWrite,
  sslSetBio,
} from './ffi.ts'

/**
 * What has come for a session and what it wants to send, between its calls. One pair serves every session of a
 * loop in turn: `feed`, work, `take` until there is nothing left, so that nothing of one is there for the next.
 */
export class BioPair {
  /** Sends what the session at hand has written; to be called before another one writes. */
  sendOwn: (() => void) | undefined
  readonly #memory: Memory
  readonly #in: number
  readonly #out: number
  #closed = false

  /** Of a stream, or of datagrams that are kept apart. */
  constructor(memory: Memory, kind: 'stream' | 'datagrams') {
    this.#memory = memory
    const method = kind === 'stream' ? bioMemory() : bioDatagrams()
    this.#in = bioNew(method)
    this.#out = bioNew(method)
    if (this.#in === 0 || this.#out === 0) throw new Error('OpenSSL has no memory for its buffers')
  }

  /** Makes an `SSL` read and write here; it holds references of its own. */
  serve(ssl: number): void {
    bioUpRef(this.#in)
    bioUpRef(this.#out)
    sslSetBio(ssl, this.#in, this.#out)
  }

  /** Hands in what came; false where OpenSSL does not take it. */
  feed(offset: number, length: number): boolean {
    if (this.#closed) return false
    return bioWrite(this.#in, this.#memory.span(offset, length), length) === length
  }

  /** Is something left of what was fed? */
  get unread(): boolean {
    return !this.#closed && bioPending(this.#in) > 0
  }

  /** Takes what is to be sent: as much as fits, or one datagram; 0 where there is nothing. */
  take(offset: number, room: number): number {
    if (this.#closed) return 0
    return Math.max(0, bioRead(this.#out, this.#memory.span(offset, room), room))
  }

  /** Forgets what a session has left behind; `offset` and `room` name memory that may be written. */
  drain(offset: number, room: number): void {
    if (this.#closed) return
    const into = this.#memory.span(offset, room)
    while (bioRead(this.#in, into, room) > 0);
    while (bioRead(this.#out, into, room) > 0);
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    bioFree(this.#in)
    bioFree(this.#out)
  }
}
