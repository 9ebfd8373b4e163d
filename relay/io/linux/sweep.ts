import type { StreamLimits } from '../io.ts'

const SWEEP_MIN_MS = 10
const SWEEP_MAX_MS = 1_000

/** The pause between two looks at the deadlines of connections. */
export function sweepMs({ firstMessageSeconds, idleSeconds }: StreamLimits): number {
  const shortest = Math.min(firstMessageSeconds, idleSeconds) * 1000
  return Math.min(SWEEP_MAX_MS, Math.max(SWEEP_MIN_MS, shortest / 4))
}
