import { PROT_READ_WRITE } from '../constants.ts'
import { mmap, munmap, systemError, viewOf } from '../ffi.ts'

const MAP_SHARED = 1
const PAGE_BYTES = 4096
const TWO_TO_32 = 4_294_967_296

/** Unmaps once no view is left. */
const mappings = new FinalizationRegistry<{ address: number; length: number }>(({ address, length }) => {
  munmap(address, length)
})

/** The entries of an array map, as memory that the program and the relay share. */
export class MappedArray {
  readonly view: DataView
  readonly bytes: Uint8Array
  readonly #u32: Uint32Array
  readonly #u64: BigUint64Array
  readonly #entryBytes: number

  constructor(descriptor: number, entries: number, entryBytes: number) {
    const length = Math.ceil((entries * entryBytes) / PAGE_BYTES) * PAGE_BYTES
    const address = mmap(0, length, PROT_READ_WRITE, MAP_SHARED, descriptor, 0)
    // MAP_FAILED is the highest address there is.
    if (address > Number.MAX_SAFE_INTEGER) throw systemError('mmap')
    const buffer = viewOf(address, length)
    mappings.register(buffer, { address, length })
    this.view = new DataView(buffer)
    this.bytes = new Uint8Array(buffer)
    this.#u32 = new Uint32Array(buffer)
    this.#u64 = new BigUint64Array(buffer)
    this.#entryBytes = entryBytes
  }

  /** Where an entry begins. */
  at(index: number): number {
    return index * this.#entryBytes
  }

  clear(index: number): void {
    this.bytes.fill(0, this.at(index), this.at(index) + this.#entryBytes)
  }

  /** Stores 64 bits as one: the program never sees half of them. */
  set64(at: number, value: bigint): void {
    Atomics.store(this.#u64, at >> 3, value)
  }

  get64(at: number): bigint {
    return Atomics.load(this.#u64, at >> 3)
  }

  exchange64(at: number, expected: bigint, value: bigint): boolean {
    return Atomics.compareExchange(this.#u64, at >> 3, expected, value) === expected
  }

  /** A counter that the program adds to, as a number. */
  count(at: number): number {
    const low = at >> 2
    for (;;) {
      const high = this.#u32[low + 1]!
      const value = high * TWO_TO_32 + this.#u32[low]!
      if (this.#u32[low + 1] === high) return value
    }
  }
}
