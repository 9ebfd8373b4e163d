/** Things by small numbers that are used again: what an AddressMap's values point at. */
export class Slab<T> {
  readonly #items: (T | undefined)[] = []
  readonly #free: number[] = []

  add(item: T): number {
    const index = this.#free.pop() ?? this.#items.length
    this.#items[index] = item
    return index
  }

  /** `index` may be negative, as AddressMap says that a key is not there. */
  get(index: number): T | undefined {
    return index < 0 ? undefined : this.#items[index]
  }

  remove(index: number): void {
    if (this.#items[index] === undefined) return
    this.#items[index] = undefined
    this.#free.push(index)
    if (this.#free.length < this.#items.length) return
    this.#items.length = 0
    this.#free.length = 0
  }

  all(): T[] {
    return this.#items.filter((item) => item !== undefined)
  }
}
