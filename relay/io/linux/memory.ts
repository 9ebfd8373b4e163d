import { MAP_PRIVATE_ANONYMOUS, PROT_NONE, PROT_READ_WRITE } from './constants.ts'
import { checked, mmap, mprotect, munmap, systemError, viewOf } from './ffi.ts'

/** The largest page of the architectures at hand: guards and sizes are multiples of it. */
const PAGE_BYTES = 65_536
/** Everything begins on a cache line of its own. */
const ALIGN_BYTES = 64
const TWO_TO_32 = 4_294_967_296

/** Unmaps once no view is left, so that a buffer kept too long is never a dangling one. */
const mappings = new FinalizationRegistry<{ address: number; length: number }>(({ address, length }) => {
  munmap(address, length)
})

/**
 * Memory that C functions and JavaScript share: it never moves, and lies between pages that nobody may touch,
 * so that the kernel refuses to write beyond its end (EFAULT) instead of writing into something else.
 * Everything in it is named by its offset.
 */
export class Memory {
  readonly bytes: Uint8Array
  readonly u16: Uint16Array
  readonly u32: Uint32Array
  readonly i32: Int32Array
  readonly #base: number
  readonly #low: number
  readonly #high: number
  #used = 0

  constructor(length: number) {
    const size = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES
    const whole = size + 2 * PAGE_BYTES
    const address = mmap(0, whole, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
    // MAP_FAILED is the highest address there is.
    if (address > Number.MAX_SAFE_INTEGER) throw systemError('mmap')
    checked('mprotect', mprotect(address, PAGE_BYTES, PROT_NONE))
    checked('mprotect', mprotect(address + PAGE_BYTES + size, PAGE_BYTES, PROT_NONE))
    this.#base = address + PAGE_BYTES
    this.#low = this.#base % TWO_TO_32
    this.#high = Math.floor(this.#base / TWO_TO_32)
    const buffer = viewOf(this.#base, size)
    mappings.register(buffer, { address, length: whole })
    this.bytes = new Uint8Array(buffer)
    this.u16 = new Uint16Array(buffer)
    this.u32 = new Uint32Array(buffer)
    this.i32 = new Int32Array(buffer)
  }

  /** Sets a range aside for good; returns where it begins. */
  take(length: number): number {
    const at = this.#used
    this.#used = Math.ceil((at + length) / ALIGN_BYTES) * ALIGN_BYTES
    if (this.#used > this.bytes.length) throw new RangeError(`no room for ${length} bytes more`)
    return at
  }

  /** What C knows an offset by. */
  address(offset: number): number {
    return this.#base + offset
  }

  /** The same of a range, which has to lie inside. */
  span(offset: number, length: number): number {
    if (offset >= 0 && length >= 0 && offset + length <= this.bytes.length) return this.#base + offset
    throw new RangeError(`${length} bytes at ${offset} do not lie in this memory`)
  }

  /** Writes the address of `target` as a pointer at `at`, a multiple of eight. */
  setPointer(at: number, target: number): void {
    const low = this.#low + target
    const carry = low >= TWO_TO_32 ? 1 : 0
    this.u32[at >> 2] = carry === 1 ? low - TWO_TO_32 : low
    this.u32[(at >> 2) + 1] = this.#high + carry
  }
}
