import type { TransportAddress } from '../stun/address.ts'

/** Buckets; sources that share one share its tokens. */
const BUCKETS = 8192
const MASK = BUCKETS - 1

/**
 * A rate limit per source in fixed memory: a table of token buckets that a seeded hash of the source's IPv4
 * address or IPv6 /64 points into. No source leaves anything behind, however many there are, and which ones
 * share a bucket cannot be foreseen from outside.
 */
export class SourceBudget {
  readonly #seed: number
  readonly #tokens = new Float64Array(BUCKETS)
  readonly #filledAt = new Float64Array(BUCKETS).fill(Number.NEGATIVE_INFINITY)

  constructor(seed: number) {
    this.#seed = seed
  }

  /** Takes a token of the source, at most one second's worth saved up; false where none is left. 0 is no limit. */
  take(source: TransportAddress, perSecond: number, now: number): boolean {
    if (perSecond === 0) return true
    const bucket = this.#bucketOf(source)
    const filled = this.#tokens[bucket]! + ((now - this.#filledAt[bucket]!) * perSecond) / 1000
    const tokens = Math.min(filled, perSecond)
    this.#filledAt[bucket] = now
    this.#tokens[bucket] = tokens < 1 ? tokens : tokens - 1
    return tokens >= 1
  }

  #bucketOf({ family, w0, w1, w3 }: TransportAddress): number {
    const hash = family === 4 ? mix(this.#seed, w3) : mix(mix(~this.#seed, w0), w1)
    return hash & MASK
  }
}

/** The finalizer of MurmurHash3 over two words: every bit of both reaches every bit of the result. */
function mix(hash: number, word: number): number {
  let h = hash ^ word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
