import type { Duplex } from 'node:stream'
import type { DataSource } from '../../turn/contract.ts'

/** How long both ends may take to deliver what was read before the end of either. */
const CLOSE_GRACE_MS = 10_000
const TIMER_MAX_MS = 2_147_483_647

export interface SpliceEvents {
  readonly now: () => number
  /** Bytes were read; returns from when on more may be. */
  read(source: DataSource, bytes: number): number
  /** Either end was closed by who is there; told once, and not after `end`. */
  ended(): void
}

/**
 * A client's stream and a peer's, joined (RFC 6062 §5.4): what is read from one is written to the other, and while
 * that does not take it, no more is read (RFC 6062 §3), so that each holds a stream's buffer at most.
 */
export class Splice {
  readonly #client: Duplex
  readonly #peer: Duplex
  readonly #events: SpliceEvents
  readonly #timers = new Map<DataSource, NodeJS.Timeout>()
  #grace: NodeJS.Timeout | undefined
  #ending = false

  constructor(client: Duplex, peer: Duplex, events: SpliceEvents) {
    this.#client = client
    this.#peer = peer
    this.#events = events
  }

  /** Starts with what the client has sent already. */
  start(early: Uint8Array): void {
    for (const stream of [this.#client, this.#peer]) {
      stream.once('end', () => this.#ended())
      stream.once('close', () => this.#closed())
    }
    this.#pump(this.#peer, this.#client, 'peer')
    this.#pump(this.#client, this.#peer, 'client')
    if (early.length > 0) this.#pass(this.#client, this.#peer, 'client', early)
  }

  /** Delivers what was read, then closes both. */
  end(): void {
    if (this.#ending) return
    this.#ending = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    for (const stream of [this.#client, this.#peer]) {
      // Read and forgotten: a socket closed with unread bytes resets, and what it still had to deliver is lost.
      stream.removeAllListeners('data')
      stream.resume()
      stream.end()
    }
    this.#grace = setTimeout(() => this.#destroy(), CLOSE_GRACE_MS)
    this.#closed()
  }

  #pump(from: Duplex, to: Duplex, source: DataSource): void {
    from.on('data', (chunk: Uint8Array) => this.#pass(from, to, source, chunk))
    to.on('drain', () => this.#resume(from, to, source))
    from.resume()
  }

  #pass(from: Duplex, to: Duplex, source: DataSource, chunk: Uint8Array): void {
    const waitMs = this.#events.read(source, chunk.length) - this.#events.now()
    if (this.#ending) return
    const taken = to.write(chunk)
    if (waitMs > 0) this.#wait(from, to, source, waitMs)
    else if (!taken) from.pause()
  }

  #wait(from: Duplex, to: Duplex, source: DataSource, waitMs: number): void {
    from.pause()
    clearTimeout(this.#timers.get(source))
    const resume = () => {
      this.#timers.delete(source)
      this.#resume(from, to, source)
    }
    this.#timers.set(source, setTimeout(resume, Math.min(TIMER_MAX_MS, Math.ceil(waitMs))))
  }

  #resume(from: Duplex, to: Duplex, source: DataSource): void {
    if (!this.#ending && !this.#timers.has(source) && !to.writableNeedDrain) from.resume()
  }

  #ended(): void {
    if (this.#ending) return
    this.end()
    this.#events.ended()
  }

  #closed(): void {
    if (!this.#ending) this.#ended()
    if (this.#client.destroyed && this.#peer.destroyed) clearTimeout(this.#grace)
  }

  #destroy(): void {
    this.#client.destroy()
    this.#peer.destroy()
  }
}
