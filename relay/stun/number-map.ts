const SLOTS_MIN = 16
const FREE = -1

/**
 * A Map from numbers from 0 to 2^31 - 1, for entries that come and go by the thousand each second. A built-in Map
 * leaves a chain of outgrown tables behind it that keeps what they held from being collected young; this one
 * deletes in place, and gives its room back.
 */
export class NumberMap<T> {
  #keys = new Int32Array(SLOTS_MIN).fill(FREE)
  #values: (T | undefined)[] = new Array<T | undefined>(SLOTS_MIN).fill(undefined)
  #mask = SLOTS_MIN - 1
  #size = 0

  get size(): number {
    return this.#size
  }

  get(key: number): T | undefined {
    return this.#values[this.#slot(key)]
  }

  set(key: number, value: T): void {
    let slot = this.#slot(key)
    if (this.#keys[slot] === FREE) {
      if ((this.#size + 1) * 2 > this.#mask + 1) {
        this.#resize((this.#mask + 1) * 2)
        slot = this.#slot(key)
      }
      this.#keys[slot] = key
      this.#size++
    }
    this.#values[slot] = value
  }

  /** False where the key was not there. */
  delete(key: number): boolean {
    const slot = this.#slot(key)
    if (this.#keys[slot] === FREE) return false
    this.#closeGap(slot)
    this.#size--
    if (this.#mask >= SLOTS_MIN && this.#size * 8 <= this.#mask + 1) this.#resize((this.#mask + 1) / 2)
    return true
  }

  clear(): void {
    this.#keys.fill(FREE)
    this.#size = 0
    this.#resize(SLOTS_MIN)
  }

  /** The values there are now, in no order. */
  values(): T[] {
    return this.#values.filter((value) => value !== undefined)
  }

  /** Where a key is, or the free slot where it would go. */
  #slot(key: number): number {
    let slot = this.#homeOf(key)
    while (this.#keys[slot] !== key && this.#keys[slot] !== FREE) slot = (slot + 1) & this.#mask
    return slot
  }

  #homeOf(key: number): number {
    const hash = Math.imul(key ^ (key >>> 16), 0x85ebca6b)
    return (hash ^ (hash >>> 13)) & this.#mask
  }

  /** Moves later entries of the run back, so that no tombstones are needed. */
  #closeGap(freed: number): void {
    let gap = freed
    for (let slot = (gap + 1) & this.#mask; this.#keys[slot] !== FREE; slot = (slot + 1) & this.#mask) {
      const distance = (slot - this.#homeOf(this.#keys[slot]!)) & this.#mask
      if (distance < ((slot - gap) & this.#mask)) continue
      this.#keys[gap] = this.#keys[slot]!
      this.#values[gap] = this.#values[slot]
      gap = slot
    }
    this.#keys[gap] = FREE
    this.#values[gap] = undefined
  }

  #resize(slots: number): void {
    const keys = this.#keys
    const values = this.#values
    this.#mask = slots - 1
    this.#keys = new Int32Array(slots).fill(FREE)
    this.#values = new Array<T | undefined>(slots).fill(undefined)
    for (let old = 0; old < keys.length; old++) {
      if (keys[old] === FREE) continue
      const slot = this.#slot(keys[old]!)
      this.#keys[slot] = keys[old]!
      this.#values[slot] = values[old]
    }
  }
}
