import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How long something that was due had to wait for the event loop, in milliseconds. */
export interface LoopDelay {
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly residentBytes: number
}

const RESOLUTION_MS = 1
const NANOSECONDS_PER_MS = 1e6

/** How the event loop of this process does. */
export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#delay.enable()
  }

  /** Since the last call. */
  take(): LoopDelay {
    // The timer that measures is itself due only each millisecond.
    const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS)
    const { max } = this.#delay
    const [p50, p99] = [50, 99].map((share) => late(this.#delay.percentile(share)))
    this.#delay.reset()
    return { p50: p50!, p99: p99!, max: late(max), residentBytes: process.memoryUsage.rss() }
  }
}
