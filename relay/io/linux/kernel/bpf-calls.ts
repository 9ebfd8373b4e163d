import { arch } from 'node:process'
import koffi from 'koffi'
import { EAGAIN } from '../constants.ts'
import { close, errno, systemError } from '../ffi.ts'
import type { Memory } from '../memory.ts'

/** The bpf system call (bpf(2)), for which the C library has no function. Offsets are those of `union bpf_attr`. */
const SYSCALL_NUMBER = arch === 'x64' ? 321 : 280

const MAP_CREATE = 0
const MAP_UPDATE = 2
const MAP_DELETE = 3
const PROGRAM_LOAD = 5
const LINK_CREATE = 28

const SCHED_CLS = 3
const TCX_INGRESS = 46
const NAME_BYTES = 15
const LOAD_ATTEMPTS_MAX = 10
/** The longest command at hand, PROG_LOAD up to expected_attach_type. */
const ATTRIBUTES_BYTES = 128
const LOG_BYTES = 65_536
const INSTRUCTIONS_BYTES_MAX = 65_536
/** Longest key and value that are handed over. */
const KEY_BYTES = 64
const VALUE_BYTES = 64

export const MAP_TYPE = { hash: 1, array: 2, perCpuArray: 6 } as const
export const MAP_FLAG = { noPreallocation: 1, mappable: 1024 } as const

/** What the calls take of a `Memory`. */
export const BPF_MEMORY_BYTES =
  ATTRIBUTES_BYTES + LOG_BYTES + INSTRUCTIONS_BYTES_MAX + KEY_BYTES + VALUE_BYTES + 4096

const syscall: (number: number, command: number, attributes: number, size: number) => number = koffi
  .load(null)
  .func('long syscall(long, int, uintptr_t, uint32_t)')

export interface MapOptions {
  readonly name: string
  readonly type: number
  readonly keyBytes: number
  readonly valueBytes: number
  readonly entries: number
  readonly flags: number
}

/** The bpf commands that the kernel path needs; every one throws what the system says. */
export class BpfCalls {
  /** Where keys and values of `update` and `remove` are put. */
  readonly key: number
  readonly value: number
  readonly #memory: Memory
  readonly #attributes: number
  readonly #log: number
  readonly #instructions: number
  readonly #license: number

  constructor(memory: Memory) {
    this.#memory = memory
    this.#attributes = memory.take(ATTRIBUTES_BYTES)
    this.#log = memory.take(LOG_BYTES)
    this.#instructions = memory.take(INSTRUCTIONS_BYTES_MAX)
    this.#license = memory.take(64)
    this.key = memory.take(KEY_BYTES)
    this.value = memory.take(VALUE_BYTES)
  }

  /** Returns the descriptor of a new map. */
  createMap({ name, type, keyBytes, valueBytes, entries, flags }: MapOptions): number {
    const { u32 } = this.#memory
    const at = this.#clear() >> 2
    u32[at] = type
    u32[at + 1] = keyBytes
    u32[at + 2] = valueBytes
    u32[at + 3] = entries
    u32[at + 4] = flags
    this.#writeText(this.#attributes + 28, name)
    return this.#checked(`BPF_MAP_CREATE of ${name}`, MAP_CREATE)
  }

  /** Puts what is at `key` and `value` into a map; false where it is full. */
  update(map: number): boolean {
    this.#setEntry(map)
    return this.#call(MAP_UPDATE) >= 0
  }

  /** Takes what is at `key` out of a map, if it is there. */
  remove(map: number): void {
    this.#setEntry(map)
    this.#call(MAP_DELETE)
  }

  /** Returns the descriptor of a program for the ingress of an interface; the error has the verifier's last words. */
  loadProgram(name: string, instructions: Uint8Array, license: string): number {
    const memory = this.#memory
    if (instructions.length > INSTRUCTIONS_BYTES_MAX) throw new RangeError('the program is too long')
    memory.bytes.set(instructions, this.#instructions)
    this.#writeText(this.#license, license, 63)
    const at = this.#clear() >> 2
    memory.u32[at] = SCHED_CLS
    memory.u32[at + 1] = instructions.length / 8
    memory.setPointer(this.#attributes + 8, this.#instructions)
    memory.setPointer(this.#attributes + 16, this.#license)
    memory.u32[at + 17] = TCX_INGRESS
    this.#writeText(this.#attributes + 48, name)
    for (let attempt = 0; attempt < LOAD_ATTEMPTS_MAX; attempt++) {
      const fd = this.#call(PROGRAM_LOAD)
      if (fd >= 0) return fd
      // The verifier gives way to signals.
      if (errno() !== EAGAIN) break
    }
    const error = systemError('BPF_PROG_LOAD')
    error.message += this.#lastWords()
    throw error
  }

  /** Attaches a program to the ingress of an interface; it stays as long as the returned descriptor is open. */
  attach(program: number, interfaceIndex: number): number {
    const at = this.#clear() >> 2
    this.#memory.u32[at] = program
    this.#memory.u32[at + 1] = interfaceIndex
    this.#memory.u32[at + 2] = TCX_INGRESS
    return this.#checked('BPF_LINK_CREATE', LINK_CREATE)
  }

  /** Loads once more, with the verifier's log, whose end says why. */
  #lastWords(): string {
    const memory = this.#memory
    memory.u32[(this.#attributes >> 2) + 6] = 1
    memory.u32[(this.#attributes >> 2) + 7] = LOG_BYTES
    memory.setPointer(this.#attributes + 32, this.#log)
    memory.bytes[this.#log] = 0
    const fd = this.#call(PROGRAM_LOAD)
    if (fd >= 0) close(fd)
    const end = memory.bytes.indexOf(0, this.#log)
    const lines = new TextDecoder().decode(memory.bytes.subarray(this.#log, end)).trimEnd().split('\n')
    return lines[0] ? `: ${lines.slice(-3).join(' | ')}` : ''
  }

  #setEntry(map: number): void {
    const at = this.#clear()
    this.#memory.u32[at >> 2] = map
    this.#memory.setPointer(at + 8, this.key)
    this.#memory.setPointer(at + 16, this.value)
  }

  #clear(): number {
    this.#memory.bytes.fill(0, this.#attributes, this.#attributes + ATTRIBUTES_BYTES)
    return this.#attributes
  }

  #writeText(at: number, text: string, bytesMax = NAME_BYTES): void {
    const bytes = new TextEncoder().encode(text).subarray(0, bytesMax)
    this.#memory.bytes.set(bytes, at)
    this.#memory.bytes[at + bytes.length] = 0
  }

  #call(command: number): number {
    return syscall(SYSCALL_NUMBER, command, this.#memory.address(this.#attributes), ATTRIBUTES_BYTES)
  }

  #checked(name: string, command: number): number {
    const result = this.#call(command)
    if (result < 0) throw systemError(name)
    return result
  }
}
