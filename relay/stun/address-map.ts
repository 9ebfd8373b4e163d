import type { TransportAddress } from './address.ts'

/** Returned by `get` for a key that is not there. */
export const NOT_FOUND = -1

const SLOTS_MIN = 16
/** 32-bit words of a key: scope, port and family, four address words. */
const KEY_WORDS = 6

/**
 * A hash map from (scope, IP, port) to a small number ≥ 0, for the packet path: open addressing in typed
 * arrays, nothing allocated by `get`. The scope is any number below 2^32 (a link, an allocation,
 * 0 when there is none); pass port 0 for a map keyed by IP alone.
 */
export class AddressMap {
  readonly #seed: number
  readonly #entriesMax: number
  #mask = SLOTS_MIN - 1
  #keys = new Int32Array(SLOTS_MIN * KEY_WORDS)
  #values = new Int32Array(SLOTS_MIN).fill(NOT_FOUND)
  #size = 0

  /** `seed` is a random number that keeps clients from choosing addresses that collide. */
  constructor(entriesMax: number, seed: number) {
    this.#entriesMax = entriesMax
    this.#seed = seed | 0
  }

  get size(): number {
    return this.#size
  }

  /** The value of a key, or NOT_FOUND. */
  get(scope: number, address: TransportAddress, port = address.port): number {
    return this.#values[this.#slot(scope, address, port)]!
  }

  /** Sets the value of a key; false when the map is full and the key is new. */
  set(scope: number, address: TransportAddress, value: number, port = address.port): boolean {
    let slot = this.#slot(scope, address, port)
    if (this.#values[slot] === NOT_FOUND) {
      if (this.#size === this.#entriesMax) return false
      if ((this.#size + 1) * 2 > this.#mask + 1) {
        this.#resize((this.#mask + 1) * 2)
        slot = this.#slot(scope, address, port)
      }
      this.#writeKey(slot, scope, address, port)
      this.#size++
    }
    this.#values[slot] = value
    return true
  }

  /** Removes a key; false when it was not there. */
  delete(scope: number, address: TransportAddress, port = address.port): boolean {
    const slot = this.#slot(scope, address, port)
    if (this.#values[slot] === NOT_FOUND) return false
    this.#closeGap(slot)
    this.#size--
    if (this.#mask >= SLOTS_MIN && this.#size * 8 <= this.#mask + 1) this.#resize((this.#mask + 1) / 2)
    return true
  }

  clear(): void {
    this.#values.fill(NOT_FOUND)
    this.#size = 0
  }

  /** The slot of a key: where it is, or the free one where it would go. */
  #slot(scope: number, address: TransportAddress, port: number): number {
    const keys = this.#keys
    const tag = (port << 3) | address.family
    let slot = this.#hash(scope, tag, address.w0, address.w1, address.w2, address.w3) & this.#mask
    while (this.#values[slot] !== NOT_FOUND) {
      const at = slot * KEY_WORDS
      if (
        keys[at + 5] === address.w3 &&
        keys[at + 1] === tag &&
        keys[at] === (scope | 0) &&
        keys[at + 4] === address.w2 &&
        keys[at + 3] === address.w1 &&
        keys[at + 2] === address.w0
      ) {
        return slot
      }
      slot = (slot + 1) & this.#mask
    }
    return slot
  }

  #writeKey(slot: number, scope: number, address: TransportAddress, port: number): void {
    const at = slot * KEY_WORDS
    this.#keys[at] = scope
    this.#keys[at + 1] = (port << 3) | address.family
    this.#keys[at + 2] = address.w0
    this.#keys[at + 3] = address.w1
    this.#keys[at + 4] = address.w2
    this.#keys[at + 5] = address.w3
  }

  #hash(scope: number, tag: number, w0: number, w1: number, w2: number, w3: number): number {
    let hash = mix(this.#seed, w3)
    hash = mix(hash, tag)
    hash = mix(hash, scope)
    if ((tag & 7) === 6) hash = mix(mix(mix(hash, w0), w1), w2)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  }

  /** The slot that the key at `keys[at]` would have if nothing were in its way. */
  #homeOf(keys: Int32Array, at: number): number {
    const hash = this.#hash(
      keys[at]!,
      keys[at + 1]!,
      keys[at + 2]!,
      keys[at + 3]!,
      keys[at + 4]!,
      keys[at + 5]!,
    )
    return hash & this.#mask
  }

  /** Moves later entries of the run back, so that no tombstones are needed. */
  #closeGap(freed: number): void {
    let gap = freed
    let slot = gap
    for (;;) {
      slot = (slot + 1) & this.#mask
      if (this.#values[slot] === NOT_FOUND) break
      const distance = (slot - this.#homeOf(this.#keys, slot * KEY_WORDS)) & this.#mask
      if (distance < ((slot - gap) & this.#mask)) continue
      this.#keys.copyWithin(gap * KEY_WORDS, slot * KEY_WORDS, (slot + 1) * KEY_WORDS)
      this.#values[gap] = this.#values[slot]!
      gap = slot
    }
    this.#values[gap] = NOT_FOUND
  }

  #resize(slots: number): void {
    const keys = this.#keys
    const values = this.#values
    this.#mask = slots - 1
    this.#keys = new Int32Array(slots * KEY_WORDS)
    this.#values = new Int32Array(slots).fill(NOT_FOUND)
    for (let old = 0; old < values.length; old++) {
      if (values[old] === NOT_FOUND) continue
      const from = old * KEY_WORDS
      let slot = this.#homeOf(keys, from)
      while (this.#values[slot] !== NOT_FOUND) slot = (slot + 1) & this.#mask
      this.#keys.set(keys.subarray(from, from + KEY_WORDS), slot * KEY_WORDS)
      this.#values[slot] = values[old]!
    }
  }
}

/** One round of MurmurHash3 (32 bit). */
function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  const mixed = hash ^ k
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}
