/** What the autoscaler remembers between two decisions: plain data, bounded. */
export interface AutoscalerMemory {
  /** When the record of recommendations began: before a whole window has passed, nothing shrinks. */
  sinceMs: number
  /** Highest recommendation of each slice of the window, oldest first. */
  slices: { fromMs: number; highest: number }[]
  growth: Growth
  /** When the number wanted changed last. */
  changedAtMs: number
  /** Uids of relays seen before they were Ready: their time to Ready can be measured. */
  starting: string[]
  /** Measured seconds from creation to Ready, the newest last. */
  startupSeconds: number[]
}

export interface Growth {
  sampledAtMs: number
  allocations: number
  /** Allocations per second, smoothed over a minute and over five; never negative. */
  shortPerSecond: number
  longPerSecond: number
}

export function emptyAutoscalerMemory(nowMs: number): AutoscalerMemory {
  return {
    sinceMs: nowMs,
    slices: [],
    growth: { sampledAtMs: 0, allocations: 0, shortPerSecond: 0, longPerSecond: 0 },
    changedAtMs: 0,
    starting: [],
    startupSeconds: [],
  }
}

/** Time between two samples, and between two changes of the number wanted. */
export const SAMPLE_SECONDS = 10
const SHORT_SECONDS = 60
const LONG_SECONDS = 300
/** Slices that a window is kept in. */
const SLICES = 60
const MAX_STARTUPS = 20
const DEFAULT_STARTUP_SECONDS = 30

/** Takes a sample of the growth, once in `SAMPLE_SECONDS`. */
export function sampleGrowth(growth: Growth, allocations: number, nowMs: number): Growth {
  const seconds = (nowMs - growth.sampledAtMs) / 1000
  if (growth.sampledAtMs === 0) return { ...growth, sampledAtMs: nowMs, allocations }
  if (seconds < SAMPLE_SECONDS) return growth
  const rate = Math.max(0, (allocations - growth.allocations) / seconds)
  return {
    sampledAtMs: nowMs,
    allocations,
    shortPerSecond: smooth(growth.shortPerSecond, rate, seconds / SHORT_SECONDS),
    longPerSecond: smooth(growth.longPerSecond, rate, seconds / LONG_SECONDS),
  }
}

/** Keeps a recommendation in the window. */
export function rememberRecommendation(
  slices: AutoscalerMemory['slices'],
  recommendation: number,
  windowSeconds: number,
  nowMs: number,
): AutoscalerMemory['slices'] {
  const sliceMs = (windowSeconds * 1000) / SLICES
  const kept = slices.filter(({ fromMs }) => fromMs + sliceMs > nowMs - windowSeconds * 1000).slice(-SLICES)
  const last = kept.at(-1)
  if (last && nowMs - last.fromMs < sliceMs) {
    return [...kept.slice(0, -1), { fromMs: last.fromMs, highest: Math.max(last.highest, recommendation) }]
  }
  return [...kept, { fromMs: nowMs, highest: recommendation }]
}

export interface StartingRelay {
  uid: string
  ready: boolean
  createdAtMs: number
}

/** Measures how long relays take to be Ready, for those seen on their way. */
export function rememberStartups(memory: AutoscalerMemory, relays: readonly StartingRelay[], nowMs: number) {
  const seen = new Set(memory.starting)
  const measured = relays
    .filter((relay) => relay.ready && seen.has(relay.uid))
    .map((relay) => (nowMs - relay.createdAtMs) / 1000)
  return {
    starting: relays.filter((relay) => !relay.ready).map((relay) => relay.uid),
    startupSeconds: [...memory.startupSeconds, ...measured].slice(-MAX_STARTUPS),
  }
}

/** 95th percentile of the measured times to Ready. */
export function startupSeconds({
  startupSeconds: measured,
}: Pick<AutoscalerMemory, 'startupSeconds'>): number {
  const sorted = [...measured].sort((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? DEFAULT_STARTUP_SECONDS
}

function smooth(before: number, rate: number, weight: number): number {
  const share = Math.min(1, weight)
  return before * (1 - share) + rate * share
}
