import type { Output } from './contract.ts'

/** Responses and log lines that may wait; what opens, closes or ends something always fits. */
const WAITING_MAX = 16_384

const DROPPABLE: ReadonlySet<Output['kind']> = new Set([
  'pass',
  'transmit',
  'refused',
  'allocation-refreshed',
])

/** What the machine has to say besides the packet path, in order. */
export class OutputQueue {
  #outputs: Output[] = []
  #head = 0

  /** False when it is dropped because nobody drains the queue. */
  push(output: Output): boolean {
    const droppable = DROPPABLE.has(output.kind)
    if (droppable && this.#outputs.length - this.#head >= WAITING_MAX) return false
    this.#outputs.push(output)
    return true
  }

  next(): Output | undefined {
    const output = this.#outputs[this.#head]
    if (output) {
      this.#head++
    } else if (this.#head > 0) {
      this.#outputs = []
      this.#head = 0
    }
    return output
  }
}
