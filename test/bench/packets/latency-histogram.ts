import type { Latency } from './load-options.ts'

/** Buckets for each doubling: steps of about two per cent. */
const STEPS = 32
const DOUBLINGS = 24

/** Times from one microsecond to some seconds, in buckets that grow with them. */
export class LatencyHistogram {
  readonly #buckets = new Uint32Array(STEPS * DOUBLINGS)
  #count = 0

  add(microseconds: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, microseconds)) * STEPS)
    this.#buckets[Math.min(bucket, this.#buckets.length - 1)]!++
    this.#count++
  }

  clear(): void {
    this.#buckets.fill(0)
    this.#count = 0
  }

  read(): Latency {
    return { p50: this.#at(0.5), p99: this.#at(0.99), p999: this.#at(0.999) }
  }

  /** The upper end of the bucket that a share of all times lies below. */
  #at(share: number): number {
    let below = 0
    for (const [bucket, count] of this.#buckets.entries()) {
      below += count
      if (below >= share * this.#count) return 2 ** ((bucket + 1) / STEPS)
    }
    return Number.POSITIVE_INFINITY
  }
}
