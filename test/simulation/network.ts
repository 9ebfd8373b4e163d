import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'

/** How a path treats datagrams; delays are in milliseconds and vary, so that packets overtake each other. */
export interface PathQuality {
  readonly loss: number
  readonly duplication: number
  readonly delayMin: number
  readonly delayMax: number
}

/** Carries packets in virtual time: datagrams with loss, duplication and reordering, streams in order and whole. */
export class Network {
  readonly #events: EventQueue
  readonly #random: Random
  readonly #quality: PathQuality
  carried = 0
  lost = 0
  duplicated = 0

  constructor(events: EventQueue, random: Random, quality: PathQuality) {
    this.#events = events
    this.#random = random
    this.#quality = quality
  }

  datagram(deliver: () => void): void {
    if (this.#random.chance(this.#quality.loss)) {
      this.lost++
      return
    }
    this.carried++
    this.#events.after(this.#delay(), deliver)
    if (!this.#random.chance(this.#quality.duplication)) return
    this.duplicated++
    this.#events.after(this.#delay(), deliver)
  }

  /** A pipe that keeps the order. */
  stream(): (deliver: () => void) => void {
    let last = 0
    return (deliver) => {
      this.carried++
      last = Math.max(last, this.#events.now + this.#delay())
      this.#events.at(last, deliver)
    }
  }

  #delay(): number {
    return this.#random.between(this.#quality.delayMin, this.#quality.delayMax)
  }
}
