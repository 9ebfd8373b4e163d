/** Upper ends of the buckets in milliseconds; what took longer counts in one more. */
export const LOOP_TIME_BOUNDS_MS: readonly number[] = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000]

/** How long an event loop was away from waiting, each time: what comes meanwhile waits for so long. */
export interface LoopTimes {
  /** By `LOOP_TIME_BOUNDS_MS`, each by itself. */
  readonly buckets: number[]
  sumMs: number
}

export function newLoopTimes(): LoopTimes {
  return { buckets: new Array(LOOP_TIME_BOUNDS_MS.length + 1).fill(0), sumMs: 0 }
}

export function observeTurn(times: LoopTimes, milliseconds: number): void {
  let bucket = 0
  while (bucket < LOOP_TIME_BOUNDS_MS.length && milliseconds > LOOP_TIME_BOUNDS_MS[bucket]!) bucket++
  times.buckets[bucket]!++
  times.sumMs += milliseconds
}
