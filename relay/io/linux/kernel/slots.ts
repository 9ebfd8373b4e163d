/** A slot rests for so long: a packet that is under way on another core may still be reading it. */
export const REST_MS = 1000

/** The numbers of a map's entries, handed out again in the order they came back, and not at once. */
export class Slots {
  readonly #count: number
  readonly #free: Int32Array
  readonly #freedAt: Float64Array
  #head = 0
  #freeCount: number

  constructor(count: number) {
    this.#count = count
    this.#free = Int32Array.from({ length: count }, (_, i) => i)
    this.#freedAt = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
    this.#freeCount = count
  }

  /** A free slot, or -1. */
  take(now: number): number {
    if (this.#freeCount === 0) return -1
    const slot = this.#free[this.#head]!
    if (now - this.#freedAt[slot]! < REST_MS) return -1
    this.#head = (this.#head + 1) % this.#count
    this.#freeCount--
    return slot
  }

  give(slot: number, now: number): void {
    this.#free[(this.#head + this.#freeCount) % this.#count] = slot
    this.#freeCount++
    this.#freedAt[slot] = now
  }

  /** Puts back at once what was taken and not used. */
  putBack(slot: number): void {
    this.#head = (this.#head + this.#count - 1) % this.#count
    this.#free[this.#head] = slot
    this.#freeCount++
  }
}
