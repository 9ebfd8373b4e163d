import type { TransportAddress } from '../stun/address.ts'
import type { Link } from './contract.ts'

/** Where clients may learn how their NAT behaves. */
export interface NatDiscoveryOptions {
  /** A1 and A2 of RFC 5780 §6.1. */
  readonly addresses: readonly { readonly bind: TransportAddress; readonly advertise: TransportAddress }[]
  /** P1 and P2. */
  readonly ports: readonly number[]
  /** Whether the same ports listen for TCP, and for TLS. */
  readonly tcp: boolean
  readonly tls: boolean
}

/** One of the four places that a request can come to. */
export interface DiscoverySite {
  /** Place of its address and of its port. */
  readonly address: number
  readonly port: number
  readonly local: TransportAddress
  /** What clients know it by. */
  readonly advertised: TransportAddress
  /** The UDP listener there. */
  link: number | undefined
}

/** The two addresses and two ports of NAT behaviour discovery (RFC 5780 §6), and which listeners are theirs. */
export class NatDiscovery {
  readonly #options: NatDiscoveryOptions | undefined
  readonly #sites: readonly DiscoverySite[]

  constructor(options: NatDiscoveryOptions | undefined, links: Iterable<Link>) {
    this.#options = options
    this.#sites = options ? makeSites(options) : []
    for (const link of links) this.add(link)
  }

  add(link: Link): void {
    const site = link.transport === 'udp' ? this.#at(link.local) : undefined
    if (site) site.link = link.id
  }

  remove(link: Link): void {
    const site = this.#sites.find((one) => one.link === link.id)
    if (site) site.link = undefined
  }

  /** Where a link is; undefined elsewhere, and while one of the four is missing: then there is no other address (RFC 5780 §6). */
  siteOf({ transport, local }: Link): DiscoverySite | undefined {
    const site = this.#at(local)
    return site && this.#serves(transport) ? site : undefined
  }

  /** The place with the other address, the other port, or both (RFC 5780 §6.1, table 1). */
  changed({ address, port }: DiscoverySite, changeIp: boolean, changePort: boolean): DiscoverySite {
    return this.#sites[placeOf(changeIp ? 1 - address : address, changePort ? 1 - port : port)]!
  }

  #serves(transport: Link['transport']): boolean {
    if (transport === 'udp') return this.#sites.every(({ link }) => link !== undefined)
    return transport !== 'dtls' && this.#options?.[transport] === true
  }

  #at(local: TransportAddress): DiscoverySite | undefined {
    return this.#sites.find((site) => site.local.equals(local))
  }
}

function makeSites({ addresses, ports }: NatDiscoveryOptions): DiscoverySite[] {
  return addresses.flatMap(({ bind, advertise }, address) =>
    ports.map((number, port) => ({
      address,
      port,
      local: withPort(bind, number),
      advertised: withPort(advertise, number),
      link: undefined,
    })),
  )
}

function placeOf(address: number, port: number): number {
  return address * 2 + port
}

/** A copy with another port. */
export function withPort(address: TransportAddress, port: number): TransportAddress {
  const copy = address.clone()
  copy.port = port
  return copy
}
