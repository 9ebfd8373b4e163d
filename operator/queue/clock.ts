/** Time as the shells see it, so that tests can own it. */
export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Calls back once after `delayMs`; the answer cancels. */
  after(delayMs: number, callback: () => void): () => void
}

/** The process's own time; its timers keep the process alive no longer than other work does. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.max(0, delayMs))
    return () => clearTimeout(timer)
  },
}

/** Waits, ending early when the signal aborts. */
export function waitFor(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const finish = (): void => {
      cancel()
      signal?.removeEventListener('abort', finish)
      resolve()
    }
    const cancel = clock.after(delayMs, finish)
    signal?.addEventListener('abort', finish)
  })
}

/** The delay before attempt `failures` + 1: doubling from `firstMs` to `maxMs`, the upper half of it random. */
export function backoffMs(failures: number, firstMs: number, maxMs: number, random: () => number): number {
  const whole = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30))
  return whole / 2 + (whole / 2) * random()
}
