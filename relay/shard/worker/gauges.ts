const ALLOCATIONS = 0
const PERMISSIONS = 1
const CHANNELS = 2
const PEER_CONNECTIONS = 3
const TURNS = 4
const WORDS = 5

const PLACES = {
  allocations: ALLOCATIONS,
  permissions: PERMISSIONS,
  channels: CHANNELS,
  peerConnections: PEER_CONNECTIONS,
  turns: TURNS,
} as const

/** What a shard on a thread of its own shows at any moment, in memory that it shares with the control side. */
export class Gauges {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array

  constructor(memory = new SharedArrayBuffer(WORDS * 4)) {
    this.memory = memory
    this.#words = new Int32Array(memory)
  }

  /** `turns` of its loop: it grows twice a second at least. */
  get(field: keyof typeof PLACES): number {
    return Atomics.load(this.#words, PLACES[field])
  }

  /** To be called after each turn of the loop. */
  show(allocations: number, permissions: number, channels: number, peerConnections: number): void {
    Atomics.store(this.#words, ALLOCATIONS, allocations)
    Atomics.store(this.#words, PERMISSIONS, permissions)
    Atomics.store(this.#words, CHANNELS, channels)
    Atomics.store(this.#words, PEER_CONNECTIONS, peerConnections)
    Atomics.add(this.#words, TURNS, 1)
  }

  /** The thread is no more. */
  clear(): void {
    this.#words.fill(0)
  }
}
