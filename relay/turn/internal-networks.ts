import type { TransportAddress } from '../stun/address.ts'
import { type Network, parseNetwork } from './network.ts'

/** A block of pods or services, and how it was written. */
export interface InternalBlock {
  readonly text: string
  readonly network: Network
}

/** What lies behind the walls that a relay stands in: pods, services and nodes of its cluster. */
export class InternalNetworks {
  readonly #blocks: readonly InternalBlock[]
  readonly #nodes: ReadonlySet<string>

  /** Throws an Error that names the entry that is no address or CIDR block. */
  constructor(blocks: readonly string[], nodes: readonly string[]) {
    this.#blocks = blocks.map((text) => ({ text, network: parseNetwork(text) }))
    this.#nodes = new Set(nodes.map((text) => keyOf(parseNetwork(text).base)))
  }

  /** The narrowest block of pods or services that an address is in. */
  blockOf(address: TransportAddress): InternalBlock | undefined {
    let narrowest: InternalBlock | undefined
    for (const block of this.#blocks) {
      const wider = narrowest && narrowest.network.prefixLength >= block.network.prefixLength
      if (!wider && block.network.contains(address)) narrowest = block
    }
    return narrowest
  }

  isNode(address: TransportAddress): boolean {
    return this.#nodes.size > 0 && this.#nodes.has(keyOf(address))
  }
}

function keyOf({ family, w0, w1, w2, w3 }: TransportAddress): string {
  return family === 4 ? `${w3}` : `${w0}:${w1}:${w2}:${w3}`
}
