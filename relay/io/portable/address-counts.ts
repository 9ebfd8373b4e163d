import type { StreamLimits, StreamRefusal } from '../io.ts'

interface Count {
  open: number
  halfOpen: number
}

/** Streams by client address, in all and those that have proved nothing yet; no entry outlives its streams. */
export class AddressCounts {
  readonly #counts = new Map<string, Count>()

  /** Why one more stream of an address is too many. */
  refusal(ip: string, { perAddress, halfOpenPerAddress }: StreamLimits): StreamRefusal | undefined {
    const count = this.#counts.get(ip)
    if (!count) return undefined
    if (count.open >= perAddress) return 'address'
    return halfOpenPerAddress > 0 && count.halfOpen >= halfOpenPerAddress ? 'half-open' : undefined
  }

  opened(ip: string): void {
    const count = this.#counts.get(ip)
    if (!count) this.#counts.set(ip, { open: 1, halfOpen: 1 })
    else {
      count.open++
      count.halfOpen++
    }
  }

  /** A stream is half-open no more. */
  proved(ip: string): void {
    const count = this.#counts.get(ip)
    if (count) count.halfOpen--
  }

  closed(ip: string, halfOpen: boolean): void {
    const count = this.#counts.get(ip)
    if (!count) return
    count.open--
    if (halfOpen) count.halfOpen--
    if (count.open === 0) this.#counts.delete(ip)
  }
}
