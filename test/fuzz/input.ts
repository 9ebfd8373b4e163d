/** Reads an input as a list of decisions; at its end every decision is 0. */
export class Input {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte()
  }

  pick<T>(items: readonly T[]): T {
    return items[this.byte() % items.length]!
  }

  /** At most `length` bytes: what is left. */
  take(length: number): Uint8Array {
    const from = this.#at
    this.#at += length
    return this.#bytes.slice(from, from + length)
  }
}
