/** A rate limit: `perSecond` tokens a second, at most one second's worth saved up; 0 is no limit. */
export class TokenBucket {
  #tokens: number
  #filledAt = 0

  constructor(perSecond: number) {
    this.#tokens = perSecond
  }

  /** Takes `amount` tokens, or takes none and returns false. */
  take(amount: number, perSecond: number, now: number): boolean {
    if (perSecond === 0) return true
    const filled = this.#tokens + ((now - this.#filledAt) * perSecond) / 1000
    this.#tokens = Math.min(filled, perSecond)
    this.#filledAt = now
    if (this.#tokens < amount) return false
    this.#tokens -= amount
    return true
  }
}
