import { TransportAddress } from '../../stun/address.ts'
import { ProxyHeader } from '../../stun/proxy-header.ts'
import type { IoCounters } from '../io.ts'
import { ReturnWays } from './return-ways.ts'
import { TrustedSources } from './trusted-sources.ts'

export interface ProxiedDatagramsOptions {
  /** Addresses and CIDR blocks of the balancers. */
  readonly from: readonly string[]
  readonly counters: Pick<IoCounters, 'proxyHeadersRefused'>
  readonly now: () => number
  /** A random number. */
  readonly seed: number
}

/**
 * The datagrams of a UDP listener behind balancers that put a header in front of each: tells whose they are, and
 * which way answers go. One instance is reused from datagram to datagram.
 */
export class ProxiedDatagrams {
  /** The client of the datagram at hand, and what it sent: nothing is copied. */
  readonly client = new TransportAddress()
  offset = 0
  length = 0
  readonly #options: ProxiedDatagramsOptions
  readonly #sources: TrustedSources
  readonly #header = new ProxyHeader()
  readonly #ways: ReturnWays

  constructor(options: ProxiedDatagramsOptions) {
    this.#options = options
    this.#sources = new TrustedSources(options.from)
    this.#ways = new ReturnWays(options.seed)
  }

  /** False where a balancer sent no valid header: the datagram is dropped, and counted. Nobody else's is looked at for one. */
  open(from: TransportAddress, buffer: Uint8Array, offset: number, length: number): boolean {
    this.client.copyFrom(from)
    this.offset = offset
    this.length = length
    if (!this.#sources.includes(from)) return true
    const header = this.#header.read(buffer, offset, length, 'datagram')
    if (header <= 0) {
      this.#options.counters.proxyHeadersRefused++
      return false
    }
    this.offset = offset + header
    this.length = length - header
    if (this.#header.relayed) {
      this.client.copyFrom(this.#header.source)
      this.#ways.note(this.client, from, this.#options.now())
    }
    return true
  }

  /** Where what is meant for a client has to be sent. */
  wayTo(client: TransportAddress): TransportAddress {
    return this.#ways.get(client) ?? client
  }
}
