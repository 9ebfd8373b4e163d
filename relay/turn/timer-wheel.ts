/** Something with a deadline that a TimerWheel holds; the fields belong to the wheel. */
export class Timer {
  tick = 0
  slot = -1
  previous: Timer | undefined
  next: Timer | undefined
}

/** How late a timer may fire. */
export const TICK_MS = 100
/** Slots of one turn (13.6 minutes): a timer beyond it is moved on once a turn. */
const SLOTS = 8192
const MASK = SLOTS - 1
const NONE = Number.POSITIVE_INFINITY

/**
 * A hashed timer wheel: scheduling, cancelling and asking for the next deadline cost the same however many
 * timers there are. Timers never fire early.
 */
export class TimerWheel<T extends Timer> {
  readonly #heads: (Timer | undefined)[] = new Array<Timer | undefined>(SLOTS).fill(undefined)
  readonly #occupied = new Uint32Array(SLOTS / 32)
  /** The last tick that was worked off. */
  #current = 0
  #nextTick = NONE
  #size = 0

  get size(): number {
    return this.#size
  }

  /** When `advance` has work next, or Infinity. */
  get nextDeadline(): number {
    return this.#nextTick === NONE ? NONE : this.#nextTick * TICK_MS
  }

  /** Sets or moves a timer. */
  schedule(timer: T, atMs: number, now: number): void {
    this.cancel(timer)
    if (this.#size === 0) {
      this.#current = Math.floor(now / TICK_MS)
      this.#nextTick = NONE
    }
    timer.tick = Math.ceil(atMs / TICK_MS)
    this.#insert(timer)
  }

  cancel(timer: T): void {
    if (timer.slot < 0) return
    if (timer.previous) timer.previous.next = timer.next
    else this.#heads[timer.slot] = timer.next
    if (timer.next) timer.next.previous = timer.previous
    if (!this.#heads[timer.slot]) this.#setOccupied(timer.slot, false)
    timer.previous = undefined
    timer.next = undefined
    timer.slot = -1
    this.#size--
  }

  /**
   * Calls `fire` for the timers that are due, at most `firesMax` of them: the rest stay due, and `nextDeadline` says
   * so. A fired timer is out of the wheel.
   */
  advance(now: number, fire: (timer: T) => void, firesMax = NONE): void {
    const nowTick = Math.floor(now / TICK_MS)
    let left = firesMax
    this.#nextTick = this.#findNext()
    while (this.#nextTick <= nowTick) {
      this.#current = this.#nextTick
      left = this.#runSlot(this.#current, fire, left)
      if (this.#heads[this.#current & MASK]) {
        // The slot is looked at again.
        this.#nextTick = this.#current--
        return
      }
      this.#nextTick = this.#findNext()
    }
    if (nowTick > this.#current) this.#current = nowTick
  }

  /** Works off a slot until nothing is left of it or of the `firesMax`; returns what is left of them. */
  #runSlot(tick: number, fire: (timer: T) => void, firesMax: number): number {
    const slot = tick & MASK
    let left = firesMax
    for (let timer = this.#heads[slot]; timer && left > 0; timer = this.#heads[slot]) {
      const due = timer as T
      this.cancel(due)
      if (due.tick > tick) this.#insert(due)
      else {
        left--
        fire(due)
      }
    }
    return left
  }

  #insert(timer: Timer): void {
    const tick = Math.min(Math.max(timer.tick, this.#current + 1), this.#current + SLOTS - 1)
    const slot = tick & MASK
    const head = this.#heads[slot]
    timer.slot = slot
    timer.next = head
    if (head) head.previous = timer
    this.#heads[slot] = timer
    this.#setOccupied(slot, true)
    this.#size++
    if (tick < this.#nextTick) this.#nextTick = tick
  }

  #setOccupied(slot: number, occupied: boolean): void {
    const bit = 1 << (slot & 31)
    if (occupied) this.#occupied[slot >>> 5]! |= bit
    else this.#occupied[slot >>> 5]! &= ~bit
  }

  /** The tick of the next occupied slot after the current one. */
  #findNext(): number {
    if (this.#size === 0) return NONE
    let distance = 1
    while (distance < SLOTS) {
      const slot = (this.#current + distance) & MASK
      const rest = this.#occupied[slot >>> 5]! >>> (slot & 31)
      if (rest !== 0) {
        const ahead = distance + 31 - Math.clz32(rest & -rest)
        return this.#current + ahead
      }
      distance += 32 - (slot & 31)
    }
    return NONE
  }
}
