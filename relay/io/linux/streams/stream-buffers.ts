import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../../turn/contract.ts'
import type { Memory } from '../memory.ts'

/** What one read takes from a connection. */
export const READ_BYTES = 65_536
/** What TLS makes of a read: records of at most so much. */
export const PLAIN_BYTES = 16_384
/** What is gathered for one connection before it is written: the largest frame fits. */
export const GATHER_BYTES = 65_600
/** What encryption adds to a gathered write: five records with header, nonce, tag and padding. */
const CIPHER_BYTES = GATHER_BYTES + 4096
/** Connections that may gather at the same time; one more makes all of them write. */
const GATHERS = 64

/** What streams take of a `Memory`. */
export const STREAM_MEMORY_BYTES =
  READ_BYTES +
  PLAIN_BYTES +
  CIPHER_BYTES +
  GATHER_BYTES +
  GATHERS * (GATHER_BYTES + 64) +
  2 * (HEAD_ROOM_BYTES + TAIL_ROOM_BYTES) +
  4096

/** The parts of memory that streams read into and write from, each for one connection at a time. */
export class StreamBuffers {
  readonly memory: Memory
  /** With head and tail room around. */
  readonly read: number
  readonly plain: number
  readonly cipher: number
  readonly cipherBytes = CIPHER_BYTES
  readonly raw: number
  readonly #free: number[] = []

  constructor(memory: Memory) {
    this.memory = memory
    this.read = memory.take(HEAD_ROOM_BYTES + READ_BYTES + TAIL_ROOM_BYTES) + HEAD_ROOM_BYTES
    this.plain = memory.take(HEAD_ROOM_BYTES + PLAIN_BYTES + TAIL_ROOM_BYTES) + HEAD_ROOM_BYTES
    this.cipher = memory.take(CIPHER_BYTES)
    this.raw = memory.take(GATHER_BYTES)
    for (let i = 0; i < GATHERS; i++) this.#free.push(memory.take(GATHER_BYTES))
  }

  /** Room for GATHER_BYTES, or -1 where all is in use. */
  takeGather(): number {
    return this.#free.pop() ?? -1
  }

  returnGather(at: number): void {
    this.#free.push(at)
  }
}
