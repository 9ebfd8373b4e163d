/** Header of the table, in 32-bit words. */
const LOCK = 0
const USED = 1
const SEED = 2
const HEADER_WORDS = 16
/** An entry: two words of hash, whose share it is, how many it counts. */
const ENTRY_WORDS = 4
const OWNER = 2
const COUNT = 3
const NOBODY = 0
/** The owner of the entry that counts what all hold together. */
const ALL = -1
/** Entries of a key that one owner holds: its own share, and that of all. */
const ENTRIES_PER_KEY = 2
/** The table is never fuller than that, so that searches stay short. */
const FILL_MAX = 0.75
/** Tries before a thread that waits for the lock sleeps for a moment: the holder may not be running. */
const SPINS = 1_000
const NAP_MS = 1

/** Memory for so many keys, each held by one owner; a key that several hold takes the room of several. */
export function countsMemory(keys: number, seed: number): SharedArrayBuffer {
  const entries = 2 ** Math.ceil(Math.log2((keys * ENTRIES_PER_KEY) / FILL_MAX))
  const memory = new SharedArrayBuffer((HEADER_WORDS + entries * ENTRY_WORDS) * 4)
  new Int32Array(memory)[SEED] = seed
  return memory
}

/**
 * Counts by key that several threads change: an open hash table in memory that they share, under a lock. The
 * share of each thread is counted too, so that what one held can be taken back when it dies. Keys are known by
 * 64 bits of a seeded hash.
 */
export class SharedCounts {
  readonly #words: Int32Array
  readonly #owner: number
  readonly #mask: number
  #hashA = 0
  #hashB = 0

  /** `owner` is this thread's number, from 1. */
  constructor(memory: SharedArrayBuffer, owner: number) {
    this.#words = new Int32Array(memory)
    this.#owner = owner
    this.#mask = (this.#words.length - HEADER_WORDS) / ENTRY_WORDS - 1
  }

  /** Runs `work`, which must not throw, while no other thread changes anything. */
  locked<T>(work: () => T): T {
    for (let tries = 1; Atomics.compareExchange(this.#words, LOCK, NOBODY, this.#owner) !== NOBODY; tries++) {
      if (tries % SPINS === 0) Atomics.wait(this.#words, LOCK, Atomics.load(this.#words, LOCK), NAP_MS)
    }
    try {
      return work()
    } finally {
      Atomics.store(this.#words, LOCK, NOBODY)
    }
  }

  /** What all threads hold of a key. */
  count(key: string): number {
    this.#hash(key)
    const at = this.#find(ALL)
    return this.#words[at + OWNER] === NOBODY ? 0 : this.#words[at + COUNT]!
  }

  /** Whether so many keys more surely fit. */
  hasRoom(keys: number): boolean {
    return this.#words[USED]! + keys * ENTRIES_PER_KEY <= (this.#mask + 1) * FILL_MAX
  }

  /** Adds one to this thread's share of a key. */
  increment(key: string): void {
    this.#hash(key)
    this.#change(this.#owner, 1)
    this.#change(ALL, 1)
  }

  /** Takes one from this thread's share of a key; false where it has none. */
  decrement(key: string): boolean {
    this.#hash(key)
    if (this.#words[this.#find(this.#owner) + OWNER] === NOBODY) return false
    this.#change(this.#owner, -1)
    this.#change(ALL, -1)
    return true
  }

  /** Takes back what a thread held that is no more, its lock included. */
  releaseAllOf(owner: number): void {
    Atomics.compareExchange(this.#words, LOCK, owner, NOBODY)
    this.locked(() => {
      for (let entry = 0; entry <= this.#mask; ) {
        const at = HEADER_WORDS + entry * ENTRY_WORDS
        if (this.#words[at + OWNER] !== owner) {
          entry++
          continue
        }
        // The same entry is looked at again, since another one may have moved into it.
        const held = this.#words[at + COUNT]!
        this.#hashA = this.#words[at]!
        this.#hashB = this.#words[at + 1]!
        this.#change(owner, -held)
        this.#change(ALL, -held)
      }
    })
  }

  #change(owner: number, by: number): void {
    const words = this.#words
    const at = this.#find(owner)
    if (words[at + OWNER] === NOBODY) {
      words[at] = this.#hashA
      words[at + 1] = this.#hashB
      words[at + OWNER] = owner
      words[at + COUNT] = 0
      words[USED]!++
    }
    words[at + COUNT]! += by
    if (words[at + COUNT]! <= 0) this.#remove(at)
  }

  /** Where the entry of the hashed key and an owner is, or would be. */
  #find(owner: number): number {
    const words = this.#words
    for (let entry = this.#home(this.#hashA, owner); ; entry = (entry + 1) & this.#mask) {
      const at = HEADER_WORDS + entry * ENTRY_WORDS
      if (words[at + OWNER] === NOBODY) return at
      if (words[at + OWNER] === owner && words[at] === this.#hashA && words[at + 1] === this.#hashB) return at
    }
  }

  /** Leaves no gap that would end the search for an entry behind it. */
  #remove(at: number): void {
    const words = this.#words
    let gap = (at - HEADER_WORDS) / ENTRY_WORDS
    words[USED]!--
    for (let entry = (gap + 1) & this.#mask; ; entry = (entry + 1) & this.#mask) {
      const from = HEADER_WORDS + entry * ENTRY_WORDS
      if (words[from + OWNER] === NOBODY) break
      const home = this.#home(words[from]!, words[from + OWNER]!)
      if (((entry - home) & this.#mask) < ((entry - gap) & this.#mask)) continue
      words.copyWithin(HEADER_WORDS + gap * ENTRY_WORDS, from, from + ENTRY_WORDS)
      gap = entry
    }
    words[HEADER_WORDS + gap * ENTRY_WORDS + OWNER] = NOBODY
  }

  #home(hash: number, owner: number): number {
    return Math.imul(hash ^ Math.imul(owner, 0x9e3779b1), 0x85ebca6b) & this.#mask
  }

  #hash(key: string): void {
    let a = this.#words[SEED]!
    let b = ~a
    for (let i = 0; i < key.length; i++) {
      const unit = key.charCodeAt(i)
      a = Math.imul(a ^ unit, 0x01000193)
      b = Math.imul((b << 5) ^ (b >>> 27) ^ unit, 0x9e3779b1)
    }
    this.#hashA = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d)
    this.#hashB = Math.imul(b ^ (b >>> 13), 0x297a2d39)
  }
}
