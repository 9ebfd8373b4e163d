import type { Output } from './contract.ts'

/** Responses and log lines that may wait; what opens, closes or ends something always fits. */
const WAITING_MAX = 16_384

/** Places of an empty queue that the next ones find. */
const PLACES_KEPT = 256

const DROPPABLE: ReadonlySet<Output['kind']> = new Set([
  'pass',
  'transmit',
  'refused',
  'allocation-refreshed',
])

/** What the machine has to say besides the packet path, in order. */
export class OutputQueue {
  #outputs: (Output | undefined)[] = []
  #head = 0
  #tail = 0

  /** False when it is dropped because nobody drains the queue. */
  push(output: Output): boolean {
    if (this.#tail - this.#head >= WAITING_MAX && DROPPABLE.has(output.kind)) return false
    this.#outputs[this.#tail++] = output
    return true
  }

  next(): Output | undefined {
    if (this.#head === this.#tail) {
      if (this.#outputs.length > PLACES_KEPT) this.#outputs = []
      this.#head = 0
      this.#tail = 0
      return undefined
    }
    const output = this.#outputs[this.#head]
    this.#outputs[this.#head++] = undefined
    return output
  }
}
