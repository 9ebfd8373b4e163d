/** A process that lived shorter than this ended too soon, and its successor waits. */
const SOON_MS = 10_000
const DELAY_FIRST_MS = 1000
const DELAY_MAX_MS = 60_000
const SLOTS_MAX = 10_000

interface Failures {
  count: number
  ending: string
}

/** How long the next process of a slot waits, as the kubelet delays containers that crash. */
export class RestartBackoff {
  readonly #failures = new Map<string, Failures>()

  /** A process ended without being told to; `ending` says how. */
  crashed(slot: string, livedMs: number, ending: string): void {
    if (livedMs >= SOON_MS || this.#failures.size >= SLOTS_MAX) this.#failures.delete(slot)
    else this.#failures.set(slot, { count: (this.#failures.get(slot)?.count ?? 0) + 1, ending })
  }

  ended(slot: string): void {
    this.#failures.delete(slot)
  }

  /** The first that ends soon is replaced at once, the next ones later and later. */
  next(slot: string): { delayMs: number; lastEnding: string } {
    const { count, ending } = this.#failures.get(slot) ?? { count: 0, ending: '' }
    const delayMs = count <= 1 ? 0 : Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** (count - 2))
    return { delayMs, lastEnding: ending }
  }
}
