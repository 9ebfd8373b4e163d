/** A rate limit: `perSecond` tokens a second, at most `savedSeconds`' worth saved up; 0 is no limit. */
export class TokenBucket {
  #tokens: number
  #filledAt = 0

  constructor(perSecond: number, savedSeconds = 1) {
    this.#tokens = perSecond * savedSeconds
  }

  /** Takes `amount` tokens, or takes none and returns false. */
  take(amount: number, perSecond: number, now: number, savedSeconds = 1): boolean {
    if (perSecond === 0) return true
    const filled = this.#tokens + ((now - this.#filledAt) * perSecond) / 1000
    this.#tokens = Math.min(filled, perSecond * savedSeconds)
    this.#filledAt = now
    if (this.#tokens < amount) return false
    this.#tokens -= amount
    return true
  }
}
