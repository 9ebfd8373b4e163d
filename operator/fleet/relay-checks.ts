import type { ClusterKey, RelayCheck } from '../controller/contract.ts'

/** What is checked. */
export interface CheckTarget {
  readonly key: ClusterKey
  readonly uid: string
  readonly address: string
}

export interface CheckOutcome {
  passed: boolean
  /** What passed or failed, in words. */
  message: string
}

export interface RelayCheckLimits {
  /** Checks that run at the same time, over all clusters. */
  parallel: number
  timeoutMs: number
  /** The least time from the end of one check of a relay to the start of the next. */
  spacingMs: number
}

const DEFAULT_LIMITS: RelayCheckLimits = { parallel: 8, timeoutMs: 10_000, spacingMs: 3000 }
const TRACKED_RELAYS_MAX = 20_000

interface Tracked {
  target: CheckTarget
  result: RelayCheck
  /** Waits in the queue, waits for its spacing, or runs. */
  phase: 'queued' | 'spaced' | 'running' | 'ended'
  timer?: NodeJS.Timeout
  abort?: AbortController
}

/** Runs checks of relays: a few at a time, each with a time limit, never the same relay twice in quick succession. */
export class RelayChecks {
  readonly #checker: (target: CheckTarget, signal: AbortSignal) => Promise<CheckOutcome>
  readonly #limits: RelayCheckLimits
  readonly #nowMs: () => number
  readonly #onEnd: (key: ClusterKey) => void
  readonly #clusters = new Map<ClusterKey, Map<string, Tracked>>()
  readonly #queue = new Set<Tracked>()
  #running = 0
  #tracked = 0

  constructor(options: {
    checker: (target: CheckTarget, signal: AbortSignal) => Promise<CheckOutcome>
    nowMs: () => number
    onEnd: (key: ClusterKey) => void
    limits?: Partial<RelayCheckLimits>
  }) {
    this.#checker = options.checker
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
    this.#nowMs = options.nowMs
    this.#onEnd = options.onEnd
  }

  results(key: ClusterKey): ReadonlyMap<string, RelayCheck> {
    const results = new Map<string, RelayCheck>()
    for (const [uid, tracked] of this.#clusters.get(key) ?? []) results.set(uid, tracked.result)
    return results
  }

  /** A relay that passed keeps that result until a later check of the same address has ended. */
  start(target: CheckTarget): void {
    const relays = this.#clusters.get(target.key) ?? new Map<string, Tracked>()
    const known = relays.get(target.uid)
    if (known && known.target.address === target.address) {
      if (known.phase === 'ended') this.#again(known)
      return
    }
    if (!known && this.#tracked >= TRACKED_RELAYS_MAX) return
    if (known) this.#drop(known)
    const tracked: Tracked = {
      target,
      phase: 'queued',
      result: { state: 'running', atMs: this.#nowMs(), address: target.address, message: 'being checked' },
    }
    this.#clusters.set(target.key, relays)
    relays.set(target.uid, tracked)
    this.#tracked++
    this.#enqueue(tracked)
  }

  /** Ends what runs for these relays and forgets the results. */
  forget(key: ClusterKey, keep: (uid: string) => boolean = () => false): void {
    const relays = this.#clusters.get(key)
    if (!relays) return
    for (const [uid, tracked] of relays) {
      if (keep(uid)) continue
      this.#drop(tracked)
      relays.delete(uid)
    }
    if (relays.size === 0) this.#clusters.delete(key)
  }

  #again(tracked: Tracked): void {
    const waitMs = tracked.result.atMs + this.#limits.spacingMs - this.#nowMs()
    if (waitMs <= 0) {
      this.#enqueue(tracked)
      return
    }
    tracked.phase = 'spaced'
    tracked.timer = setTimeout(() => this.#enqueue(tracked), waitMs)
    tracked.timer.unref()
  }

  #enqueue(tracked: Tracked): void {
    tracked.phase = 'queued'
    this.#queue.add(tracked)
    this.#runNext()
  }

  #runNext(): void {
    for (const tracked of this.#queue) {
      if (this.#running >= this.#limits.parallel) return
      this.#queue.delete(tracked)
      this.#running++
      void this.#run(tracked).finally(() => {
        this.#running--
        this.#runNext()
      })
    }
  }

  async #run(tracked: Tracked): Promise<void> {
    tracked.phase = 'running'
    const abort = new AbortController()
    tracked.abort = abort
    const { passed, message } = await this.#outcome(tracked.target, abort)
    if (this.#clusters.get(tracked.target.key)?.get(tracked.target.uid) !== tracked) return
    tracked.phase = 'ended'
    tracked.result = {
      state: passed ? 'passed' : 'failed',
      atMs: this.#nowMs(),
      address: tracked.target.address,
      message,
    }
    this.#onEnd(tracked.target.key)
  }

  async #outcome(target: CheckTarget, abort: AbortController): Promise<CheckOutcome> {
    const { timeoutMs } = this.#limits
    const ended = Promise.withResolvers<CheckOutcome>()
    const timer = setTimeout(() => {
      ended.resolve({ passed: false, message: `no result within ${timeoutMs / 1000} s` })
      abort.abort()
    }, timeoutMs)
    timer.unref()
    try {
      return await Promise.race([this.#checker(target, abort.signal), ended.promise])
    } catch (error) {
      return { passed: false, message: error instanceof Error ? error.message : String(error) }
    } finally {
      clearTimeout(timer)
    }
  }

  #drop(tracked: Tracked): void {
    clearTimeout(tracked.timer)
    this.#queue.delete(tracked)
    tracked.abort?.abort()
    this.#tracked--
  }
}
