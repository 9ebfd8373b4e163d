interface Entry {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What happens when, in virtual time: earliest first, equal times in the order they were added. */
export class EventQueue {
  readonly #heap: Entry[] = []
  #order = 0
  now = 0

  at(time: number, run: () => void): void {
    this.#heap.push({ at: Math.max(time, this.now), order: this.#order++, run })
    this.#rise(this.#heap.length - 1)
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.now + delayMs, run)
  }

  /** Runs the next event that is due by `end`; false when there is none. */
  step(end: number): boolean {
    const [first] = this.#heap
    if (first === undefined || first.at > end) return false
    const last = this.#heap.pop()!
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      this.#sink()
    }
    this.now = first.at
    first.run()
    return true
  }

  #rise(from: number): void {
    for (let i = from; i > 0; ) {
      const parent = (i - 1) >> 1
      if (!this.#swapIfEarlier(i, parent)) return
      i = parent
    }
  }

  #sink(): void {
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      const child =
        right < this.#heap.length && isEarlier(this.#heap[right]!, this.#heap[left]!) ? right : left
      if (child >= this.#heap.length || !this.#swapIfEarlier(child, i)) return
      i = child
    }
  }

  #swapIfEarlier(i: number, parent: number): boolean {
    const [a, b] = [this.#heap[i]!, this.#heap[parent]!]
    if (!isEarlier(a, b)) return false
    this.#heap[i] = b
    this.#heap[parent] = a
    return true
  }
}

function isEarlier(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
