import { readFileSync } from 'node:fs'
import { close } from '../ffi.ts'
import type { BpfCalls } from './bpf-calls.ts'
import { linkMaps, readBpfObject } from './elf.ts'

const OBJECT = new URL('./turn.bpf.o', import.meta.url)
const SECTION = 'tcx/ingress'
const LOOPBACK = 1
/** Interfaces that one relay is reached by. */
const INTERFACES_MAX = 32

/** The program in the kernel, and where it is attached: all of it ends with this process, however that ends. */
export class Program {
  readonly #calls: BpfCalls
  readonly #program: number
  /** By interface; -1 where it cannot be attached. */
  readonly #links = new Map<number, number>()

  /** Throws what the system or the verifier says. */
  constructor(calls: BpfCalls, maps: Readonly<Record<string, number>>) {
    this.#calls = calls
    const object = readBpfObject(readFileSync(OBJECT), SECTION)
    this.#program = calls.loadProgram('turn', linkMaps(object, maps), object.license)
    try {
      // Shows at once whether this kernel has such links.
      close(calls.attach(this.#program, LOOPBACK))
    } catch (error) {
      close(this.#program)
      throw error
    }
  }

  /** Attaches to the ingress of an interface, once; false where that cannot be. */
  attach(interfaceIndex: number): boolean {
    const link = this.#links.get(interfaceIndex) ?? this.#tryAttach(interfaceIndex)
    return link >= 0
  }

  get interfaces(): readonly number[] {
    return [...this.#links].filter(([, link]) => link >= 0).map(([interfaceIndex]) => interfaceIndex)
  }

  close(): void {
    for (const link of this.#links.values()) if (link >= 0) close(link)
    this.#links.clear()
    close(this.#program)
  }

  #tryAttach(interfaceIndex: number): number {
    if (this.#links.size >= INTERFACES_MAX) return -1
    let link = -1
    try {
      link = this.#calls.attach(this.#program, interfaceIndex)
    } catch {
      // Its packets take the way through the relay.
    }
    this.#links.set(interfaceIndex, link)
    return link
  }
}
