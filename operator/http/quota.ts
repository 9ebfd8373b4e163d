const BUCKETS_MAX = 10_000
const MINUTE_MS = 60_000
/** The share of a minute's quota that may be used in one burst. */
const BURST_SHARE = 0.25

interface Bucket {
  tokens: number
  filledAtMs: number
}

/** Counts requests by name in token buckets; the least recently used bucket goes when there are too many. */
export class Quota {
  readonly #buckets = new Map<string, Bucket>()

  /** Takes one request; answers 0, or how many seconds to wait. */
  take(name: string, perMinute: number, nowMs: number): number {
    const capacity = Math.max(1, perMinute * BURST_SHARE)
    const bucket = this.#buckets.get(name) ?? { tokens: capacity, filledAtMs: nowMs }
    const gained = (Math.max(0, nowMs - bucket.filledAtMs) * perMinute) / MINUTE_MS
    bucket.tokens = Math.min(capacity, bucket.tokens + gained)
    bucket.filledAtMs = nowMs
    this.#buckets.delete(name)
    this.#buckets.set(name, bucket)
    this.#makeRoom()
    if (bucket.tokens >= 1) {
      bucket.tokens--
      return 0
    }
    return Math.max(1, Math.ceil(((1 - bucket.tokens) * MINUTE_MS) / perMinute / 1000))
  }

  get size(): number {
    return this.#buckets.size
  }

  #makeRoom(): void {
    for (const name of this.#buckets.keys()) {
      if (this.#buckets.size <= BUCKETS_MAX) return
      this.#buckets.delete(name)
    }
  }
}
