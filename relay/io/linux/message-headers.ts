import type { Memory } from './memory.ts'

/** The layout of an array of `struct mmsghdr` on 64-bit Linux, and of the `struct iovec` it points to. */
const MMSGHDR_BYTES = 64
const NAME = 0
const NAME_LENGTH = 8
const VECTORS = 16
const VECTOR_COUNT = 24
const CONTROL = 32
const CONTROL_LENGTH = 40
const FLAGS = 48
const RECEIVED = 56
const IOVEC_BYTES = 16

/** An array of message headers and of vectors in a `Memory`. */
export class MessageHeaders {
  readonly #memory: Memory
  readonly #headers: number
  readonly #vectors: number

  constructor(memory: Memory, messages: number, vectors: number) {
    this.#memory = memory
    this.#headers = memory.take(messages * MMSGHDR_BYTES)
    this.#vectors = memory.take(vectors * IOVEC_BYTES)
  }

  /** What `recvmmsg` and `sendmmsg` take to begin with this message. */
  address(message: number): number {
    return this.#memory.address(this.#headers + message * MMSGHDR_BYTES)
  }

  setName(message: number, at: number, length: number): void {
    const header = this.#headers + message * MMSGHDR_BYTES
    this.#memory.setPointer(header + NAME, at)
    this.#memory.u32[(header + NAME_LENGTH) >> 2] = length
  }

  setVectors(message: number, first: number, count: number): void {
    const header = this.#headers + message * MMSGHDR_BYTES
    this.#memory.setPointer(header + VECTORS, this.#vectors + first * IOVEC_BYTES)
    this.#memory.u32[(header + VECTOR_COUNT) >> 2] = count
  }

  /** Zero bytes: none. */
  setControl(message: number, at: number, length: number): void {
    const header = this.#headers + message * MMSGHDR_BYTES
    this.#memory.setPointer(header + CONTROL, at)
    this.#memory.u32[(header + CONTROL_LENGTH) >> 2] = length
  }

  setVector(vector: number, at: number, length: number): void {
    const where = this.#vectors + vector * IOVEC_BYTES
    this.#memory.setPointer(where, at)
    this.#memory.u32[(where + 8) >> 2] = length
  }

  /** Makes a vector longer by bytes that lie right behind it. */
  growVector(vector: number, by: number): void {
    const length = (this.#vectors + vector * IOVEC_BYTES + 8) >> 2
    this.#memory.u32[length] = this.#memory.u32[length]! + by
  }

  /** Bytes of control messages that `recvmmsg` wrote. */
  controlLength(message: number): number {
    return this.#memory.u32[(this.#headers + message * MMSGHDR_BYTES + CONTROL_LENGTH) >> 2]!
  }

  /** What `recvmmsg` says of a message: MSG_CTRUNC and the like. */
  flags(message: number): number {
    return this.#memory.u32[(this.#headers + message * MMSGHDR_BYTES + FLAGS) >> 2]!
  }

  /** How much `recvmmsg` may write of a name and of control messages. */
  setRoom(message: number, nameLength: number, controlLength: number): void {
    const header = this.#headers + message * MMSGHDR_BYTES
    this.#memory.u32[(header + NAME_LENGTH) >> 2] = nameLength
    this.#memory.u32[(header + CONTROL_LENGTH) >> 2] = controlLength
  }

  /** How many bytes `recvmmsg` put into a message. */
  received(message: number): number {
    return this.#memory.u32[(this.#headers + message * MMSGHDR_BYTES + RECEIVED) >> 2]!
  }
}
