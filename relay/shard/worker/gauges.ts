const FIELDS = ['allocations', 'permissions', 'channels', 'peerConnections', 'turns'] as const
type Field = (typeof FIELDS)[number]

/** What a shard on a thread of its own shows at any moment, in memory that it shares with the control side. */
export class Gauges {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(memory = new SharedArrayBuffer(FIELDS.length * 4)) {
    this.memory = memory
    this.#words = new Int32Array(memory)
  }

  /** `turns` of its loop: it grows twice a second at least. */
  get(field: Field): number {
    return Atomics.load(this.#words, FIELDS.indexOf(field))
  }

  set(field: Field, value: number): void {
    Atomics.store(this.#words, FIELDS.indexOf(field), value)
  }

  /** The thread is no more. */
  clear(): void {
    this.#words.fill(0)
  }

  countTurn(): void {
    Atomics.add(this.#words, FIELDS.indexOf('turns'), 1)
  }
}
