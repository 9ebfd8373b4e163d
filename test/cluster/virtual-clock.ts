import type { Clock } from '../../operator/queue/clock.ts'

const TURNS_AT_ONE_TIME_MAX = 10_000

/** A clock for tests: time passes only in `advance`. */
export class VirtualClock implements Clock {
  #nowMs = 0
  #sequence = 0
  readonly #timers = new Map<number, { dueMs: number; callback: () => void }>()

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const id = this.#sequence++
    this.#timers.set(id, { dueMs: this.#nowMs + Math.max(0, delayMs), callback })
    return () => this.#timers.delete(id)
  }

  /** Lets that much time pass, calling back in order, and lets promises settle after each call. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs
    await settle()
    for (let turn = 0; turn < TURNS_AT_ONE_TIME_MAX; turn++) {
      const next = this.#next(untilMs)
      if (!next) break
      this.#timers.delete(next.id)
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      next.callback()
      await settle()
    }
    this.#nowMs = untilMs
  }

  #next(untilMs: number): { id: number; dueMs: number; callback: () => void } | undefined {
    let first: { id: number; dueMs: number; callback: () => void } | undefined
    for (const [id, timer] of this.#timers)
      if (timer.dueMs <= untilMs && (!first || timer.dueMs < first.dueMs)) first = { id, ...timer }
    return first
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
