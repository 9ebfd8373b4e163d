import type { ClientRequest } from './contract.ts'

/** Most requests that may wait for their answers. */
const TRANSACTIONS_MAX = 256

/** How long to wait for answers (RFC 8489 §6.2.1, §6.2.2). */
export interface Timing {
  /** First retransmission timeout in milliseconds. */
  readonly rtoMs: number
  /** Rc: how often a request is sent. */
  readonly sendsMax: number
  /** Rm: RTOs to wait after the last. */
  readonly lastWaitRtos: number
  /** Ti: how long to wait over a stream. */
  readonly streamTimeoutMs: number
}

/** The values that RFC 8489 gives. */
export const DEFAULT_TIMING: Timing = { rtoMs: 500, sendsMax: 7, lastWaitRtos: 16, streamTimeoutMs: 39_500 }

/** A request on its way. */
export interface Transaction {
  readonly id0: number
  readonly id1: number
  readonly id2: number
  readonly request: ClientRequest
  readonly bytes: Uint8Array
  /** Whether it carries credentials, so that its success must prove itself. */
  readonly authenticated: boolean
  /** How often this request was made anew after a 401 or 438. */
  readonly retries: number
}

interface Waiting extends Transaction {
  sends: number
  waitMs: number
  dueAt: number
}

/** Requests that wait for answers, and when to send them again (RFC 8489 §6.2). */
export class Transactions {
  readonly #reliable: boolean
  readonly #timing: Timing
  #waiting: Waiting[] = []

  constructor(reliable: boolean, timing: Timing) {
    this.#reliable = reliable
    this.#timing = timing
  }

  /** False when TRANSACTIONS_MAX requests wait already. */
  add(transaction: Transaction, now: number): boolean {
    if (this.#waiting.length >= TRANSACTIONS_MAX) return false
    const waitMs = this.#reliable ? this.#timing.streamTimeoutMs : this.#timing.rtoMs
    this.#waiting.push({ ...transaction, sends: 1, waitMs, dueAt: now + waitMs })
    return true
  }

  /** Takes out the request with this transaction id. */
  take(id: { readonly id0: number; readonly id1: number; readonly id2: number }): Transaction | undefined {
    const at = this.#waiting.findIndex((t) => t.id0 === id.id0 && t.id1 === id.id1 && t.id2 === id.id2)
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0]
  }

  /** Puts back what `take` gave, for an answer that must count as never received. */
  putBack(transaction: Transaction): void {
    this.#waiting.push(transaction as Waiting)
  }

  clear(): void {
    this.#waiting = []
  }

  pollTimeout(): number {
    return this.#waiting.reduce((next, { dueAt }) => Math.min(next, dueAt), Number.POSITIVE_INFINITY)
  }

  /** Hands out what must be sent again and what has failed. */
  handleTimeout(now: number, resend: (bytes: Uint8Array) => void, expired: (t: Transaction) => void): void {
    const due = this.#waiting.filter(({ dueAt }) => dueAt <= now)
    for (const waiting of due) {
      if (this.#reliable || waiting.sends >= this.#timing.sendsMax) {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        expired(waiting)
        continue
      }
      waiting.sends++
      const last = waiting.sends === this.#timing.sendsMax
      waiting.waitMs = last ? this.#timing.rtoMs * this.#timing.lastWaitRtos : waiting.waitMs * 2
      waiting.dueAt = now + waiting.waitMs
      resend(waiting.bytes)
    }
  }
}
