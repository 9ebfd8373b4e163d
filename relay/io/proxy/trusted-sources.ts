import type { TransportAddress } from '../../stun/address.ts'
import { type Network, parseNetwork } from '../../turn/network.ts'

/** The balancers whose word for who the client is counts. */
export class TrustedSources {
  readonly #networks: readonly Network[]

  /** Addresses and CIDR blocks. */
  constructor(texts: readonly string[] = []) {
    this.#networks = texts.map(parseNetwork)
  }

  includes(address: TransportAddress): boolean {
    for (const network of this.#networks) if (network.contains(address)) return true
    return false
  }
}
