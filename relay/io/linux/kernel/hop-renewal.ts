/** Some eight microseconds each: one step stays well below a millisecond. */
const STEP = 50
const STEP_INTERVAL_MS = 10
/** Asked for again in each tick though nothing seems to have changed: of path MTUs the kernel says nothing. */
const PER_TICK = 100

export interface HopRenewalOptions {
  /** How many entries there may be. */
  readonly count: () => number
  /** Asks for the route of an entry again; false where there is none. */
  readonly renew: (index: number) => boolean
  /** Whether routes have changed since it was last asked. */
  readonly changed: () => boolean
}

/**
 * Keeps next hops those of now. Some are asked for again in each tick; after a change of routes all are, a few at
 * a time: 5,000 a second.
 */
export class HopRenewal {
  readonly #options: HopRenewalOptions
  #next = 0
  /** Entries that a change of routes leaves to be looked at. */
  #left = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: HopRenewalOptions) {
    this.#options = options
  }

  tick(): void {
    const count = this.#options.count()
    if (this.#options.changed()) this.#left = count
    this.#renew(PER_TICK, count)
    this.#goOn()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #goOn(): void {
    if (this.#left === 0 || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#renew(STEP, this.#left)
      this.#goOn()
    }, STEP_INTERVAL_MS)
    this.#timer.unref()
  }

  /** So many that there are, of so many places at most. */
  #renew(most: number, places: number): void {
    const count = this.#options.count()
    let renewed = 0
    let looked = 0
    for (; looked < Math.min(places, count) && renewed < most; looked++) {
      this.#next = (this.#next + 1) % count
      if (this.#options.renew(this.#next)) renewed++
    }
    this.#left = count === 0 ? 0 : Math.max(0, this.#left - looked)
  }
}
