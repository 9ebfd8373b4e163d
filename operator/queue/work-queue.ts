import { backoffMs, type Clock } from './clock.ts'

const BACKOFF_FIRST_MS = 50
const BACKOFF_MAX_MS = 300_000
const KEYS_MAX = 100_000
const RATE_PER_SECOND = 200
const BURST = 400

export interface WorkQueueOptions {
  /** Works on one key; may ask to come back. A throw comes back with back-off. */
  process: (key: string) => Promise<{ requeueAfterMs?: number } | undefined>
  onError?: (key: string, error: Error, failures: number) => void
  concurrency?: number
  clock: Clock
  random: () => number
  ratePerSecond?: number
  burst?: number
}

/** For metrics. */
export interface WorkQueueState {
  /** Keys that wait for a turn. */
  depth: number
  processing: number
  /** How long the first of them has waited. */
  oldestMs: number
  /** How long the longest turn has taken so far. */
  longestTurnMs: number
  retriesTotal: number
  turnsTotal: number
}

/**
 * A queue of keys: a key waits at most once, is never worked on twice at the same time, and is worked on again
 * when it was added during its turn. Failing keys back off each for itself; one budget bounds all turns.
 */
export class WorkQueue {
  readonly #options: Required<Pick<WorkQueueOptions, 'concurrency' | 'ratePerSecond' | 'burst'>> &
    WorkQueueOptions
  readonly #waiting = new Map<string, number>()
  readonly #processing = new Map<string, number>()
  readonly #dirty = new Set<string>()
  readonly #failures = new Map<string, number>()
  readonly #later = new Map<string, { dueMs: number; cancel: () => void }>()
  #tokens: number
  #tokensAtMs: number
  #cancelWait: (() => void) | undefined
  #started = false
  #stopped = false
  #onIdle: (() => void) | undefined
  #retries = 0
  #turns = 0

  constructor(options: WorkQueueOptions) {
    this.#options = { concurrency: 4, ratePerSecond: RATE_PER_SECOND, burst: BURST, ...options }
    this.#tokens = this.#options.burst
    this.#tokensAtMs = options.clock.nowMs()
  }

  /** Until then keys are only collected. */
  start(): void {
    this.#started = true
    this.#pump()
  }

  add(key: string): void {
    if (this.#stopped) return
    this.#forgetLater(key)
    if (this.#processing.has(key)) this.#dirty.add(key)
    else if (!this.#waiting.has(key)) {
      if (this.#waiting.size >= KEYS_MAX) throw new Error(`the work queue holds ${KEYS_MAX} keys`)
      this.#waiting.set(key, this.#options.clock.nowMs())
    }
    this.#pump()
  }

  /** Adds the key after a while; of several whiles the shortest counts, and `add` outruns them. */
  addAfter(key: string, delayMs: number): void {
    if (this.#stopped || this.#waiting.has(key)) return
    const dueMs = this.#options.clock.nowMs() + delayMs
    const planned = this.#later.get(key)
    if (planned && planned.dueMs <= dueMs) return
    planned?.cancel()
    this.#later.set(key, { dueMs, cancel: this.#options.clock.after(delayMs, () => this.add(key)) })
  }

  state(): WorkQueueState {
    const nowMs = this.#options.clock.nowMs()
    const age = (starts: Iterable<number>): number => Math.max(0, ...[...starts].map((at) => nowMs - at))
    return {
      depth: this.#waiting.size,
      processing: this.#processing.size,
      oldestMs: age(this.#waiting.values()),
      longestTurnMs: age(this.#processing.values()),
      retriesTotal: this.#retries,
      turnsTotal: this.#turns,
    }
  }

  /** Starts no further turn, and resolves when those that run have ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelWait?.()
    for (const { cancel } of this.#later.values()) cancel()
    this.#later.clear()
    this.#waiting.clear()
    if (this.#processing.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  #pump(): void {
    if (!this.#started || this.#stopped) return
    while (this.#waiting.size > 0 && this.#processing.size < this.#options.concurrency) {
      if (!this.#takeToken()) return
      const [key] = this.#waiting.keys()
      this.#waiting.delete(key!)
      void this.#turn(key!)
    }
  }

  async #turn(key: string): Promise<void> {
    const { clock, process, random } = this.#options
    this.#processing.set(key, clock.nowMs())
    this.#turns += 1
    try {
      const answer = await process(key)
      this.#failures.delete(key)
      if (answer?.requeueAfterMs !== undefined) this.addAfter(key, answer.requeueAfterMs)
    } catch (error) {
      const failures = this.#failures.get(key) ?? 0
      this.#failures.set(key, failures + 1)
      this.#retries += 1
      this.#dirty.delete(key)
      this.addAfter(key, backoffMs(failures, BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random))
      this.#options.onError?.(key, error as Error, failures + 1)
    } finally {
      this.#processing.delete(key)
      if (this.#dirty.delete(key)) this.add(key)
      if (this.#processing.size === 0) this.#onIdle?.()
      this.#pump()
    }
  }

  #takeToken(): boolean {
    const { clock, ratePerSecond, burst } = this.#options
    const nowMs = clock.nowMs()
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#tokensAtMs) / 1000) * ratePerSecond)
    this.#tokensAtMs = nowMs
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return true
    }
    this.#cancelWait ??= clock.after(((1 - this.#tokens) / ratePerSecond) * 1000, () => {
      this.#cancelWait = undefined
      this.#pump()
    })
    return false
  }

  #forgetLater(key: string): void {
    this.#later.get(key)?.cancel()
    this.#later.delete(key)
  }
}
