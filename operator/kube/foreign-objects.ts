import type { ClusterKey } from '../controller/contract.ts'
import type { Clock } from '../queue/clock.ts'

/** How long a finding stands before it is looked at again. */
const STANDS_MS = 15_000
const NAMES_MAX = 100

/** Names that a TurnCluster needs and that objects of somebody else have, as far as was found out. */
export class ForeignObjects {
  readonly #clock: Clock
  readonly #found = new Map<ClusterKey, Map<string, { path: string; atMs: number }>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(key: ClusterKey, name: string, path: string): void {
    const names = this.#found.get(key) ?? new Map<string, { path: string; atMs: number }>()
    this.#found.set(key, names)
    if (names.size < NAMES_MAX) names.set(name, { path, atMs: this.#clock.nowMs() })
  }

  /** The names that are still taken; `exists` is asked about those that were not looked at for a while. */
  async names(key: ClusterKey, exists: (path: string) => Promise<boolean>): Promise<string[]> {
    const names = this.#found.get(key)
    if (!names) return []
    for (const [name, { path, atMs }] of names) {
      if (this.#clock.nowMs() - atMs < STANDS_MS) continue
      if (await exists(path)) names.set(name, { path, atMs: this.#clock.nowMs() })
      else names.delete(name)
    }
    return [...names.keys()]
  }

  has(key: ClusterKey, name: string): boolean {
    return this.#found.get(key)?.has(name) ?? false
  }

  forget(key: ClusterKey): void {
    this.#found.delete(key)
  }
}
