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
    this.#fill(perSecond, now, savedSeconds)
    if (this.#tokens < amount) return false
    this.#tokens -= amount
    return true
  }

  /** Takes `amount` tokens, those to come included; returns the moment from which on there are some again. */
  spend(amount: number, perSecond: number, now: number): number {
    if (perSecond === 0) return now
    this.#fill(perSecond, now)
    this.#tokens -= amount
    return this.#tokens >= 0 ? now : now - (this.#tokens * 1000) / perSecond
  }

  #fill(perSecond: number, now: number, savedSeconds = 1): void {
    const filled = this.#tokens + ((now - this.#filledAt) * perSecond) / 1000
    this.#tokens = Math.min(filled, perSecond * savedSeconds)
    this.#filledAt = now
  }
}
