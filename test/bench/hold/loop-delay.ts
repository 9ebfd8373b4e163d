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

// Loaded into a relay before anything else: at each SIGUSR2 it says how the loop did since the last one.
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
process.on('SIGUSR2', () => {
  // The timer that measures is itself due only each millisecond.
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS)
  const line: LoopDelay = {
    p50: late(delay.percentile(50)),
    p99: late(delay.percentile(99)),
    max: late(delay.max),
    residentBytes: process.memoryUsage.rss(),
  }
  process.stderr.write(`loop-delay ${JSON.stringify(line)}\n`)
  delay.reset()
})
