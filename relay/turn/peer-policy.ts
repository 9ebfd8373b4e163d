import type { TransportAddress } from '../stun/address.ts'
import { embeddedIpv4 } from './embedded-ipv4.ts'
import { type Network, parseNetwork } from './network.ts'
import type { PortRange } from './relay-ports.ts'
import { SPECIAL_NETWORKS } from './special-networks.ts'

/** Below this, ports belong to system services (DNS, NTP, SNMP …) that answer strangers. */
const PRIVILEGED_PORTS_END = 1024
/** The one privileged port of peers: media servers use it, and QUIC limits what it answers. */
const HTTPS_PORT = 443

/** How an IP address may be a peer. The last three are refusals. */
export type PeerVerdict =
  /** A public address: any port from 1024 on, and 443. */
  | 'public'
  /** Named by `allow`: any port. */
  | 'allowed'
  /** One of the relay's own, named by `allow`: any port but listeners, control and, without hairpin, relay ports. */
  | 'own-allowed'
  /** One of the relay's advertised addresses: the ports of its live allocations and of its siblings'. */
  | 'hairpin'
  | PeerRefusal

export type PeerRefusal = 'peer-denied' | 'peer-special' | 'peer-not-allowed'

export interface PeerPolicyOptions {
  readonly mode: 'public' | 'private'
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly hairpin: boolean
  /** Relay ports of other relays at the advertised addresses. */
  readonly siblingPorts?: PortRange | undefined
  /** Addresses that peers see as this relay. */
  readonly advertised: readonly TransportAddress[]
  /** Every address of this host that the relay opens something on. */
  readonly own: readonly TransportAddress[]
  /** Ports of listeners and control: never a peer on an own or loopback address. */
  readonly ownPorts: ReadonlySet<number>
}

/** Whether a live allocation of this relay has this relayed address. */
export type IsLiveRelay = (address: TransportAddress) => boolean

/**
 * Which peers a relay talks to: the one place that decides for CreatePermission, ChannelBind, Send,
 * ChannelData and what peers send. `deny` wins over `allow`, `allow` over the built-in refusals.
 */
export class PeerPolicy {
  readonly #options: PeerPolicyOptions
  readonly #isLiveRelay: IsLiveRelay
  readonly #allow: readonly Network[]
  readonly #deny: readonly Network[]

  /** Throws an Error that names the entry of `allow` or `deny` that is no address or CIDR block. */
  constructor(options: PeerPolicyOptions, isLiveRelay: IsLiveRelay) {
    this.#options = options
    this.#isLiveRelay = isLiveRelay
    this.#allow = options.allow.map(parseNetwork)
    this.#deny = options.deny.map(parseNetwork)
  }

  /** Judges an IP address; its port does not count, as permissions are per address (RFC 8656 §9). */
  judge(address: TransportAddress): PeerVerdict {
    const embedded = embeddedIpv4(address)
    if (includes(this.#deny, address) || embedded.some((ip) => includes(this.#deny, ip))) return 'peer-denied'
    const allowed = includes(this.#allow, address)
    if (has(this.#options.own, address)) return this.#judgeOwn(address, allowed)
    if (embedded.some((ip) => this.#isForbiddenInside(ip))) return 'peer-special'
    if (allowed) return 'allowed'
    if (this.#options.mode === 'private') return 'peer-not-allowed'
    return includes(SPECIAL_NETWORKS, address) ? 'peer-special' : 'public'
  }

  /** Whether data may go to or come from this port of an address with this verdict. */
  admits(verdict: PeerVerdict, peer: TransportAddress): boolean {
    const { port } = peer
    if (port === 0) return false
    if (verdict === 'public') return port >= PRIVILEGED_PORTS_END || port === HTTPS_PORT
    if (verdict === 'allowed') return !(isLoopback(peer) && this.#options.ownPorts.has(port))
    if (verdict === 'hairpin') return this.#isLiveRelay(peer) || this.#isSibling(port)
    if (verdict !== 'own-allowed' || this.#options.ownPorts.has(port)) return false
    return this.#options.hairpin || !this.#isLiveRelay(peer)
  }

  #judgeOwn(address: TransportAddress, allowed: boolean): PeerVerdict {
    if (allowed) return 'own-allowed'
    return this.#options.hairpin && has(this.#options.advertised, address) ? 'hairpin' : 'peer-special'
  }

  #isSibling(port: number): boolean {
    const { siblingPorts, ownPorts } = this.#options
    return (
      siblingPorts !== undefined &&
      port >= siblingPorts.min &&
      port <= siblingPorts.max &&
      !ownPorts.has(port)
    )
  }

  /** An address inside another one is never reached as an own one. */
  #isForbiddenInside(ip: TransportAddress): boolean {
    if (has(this.#options.own, ip)) return true
    return includes(SPECIAL_NETWORKS, ip) && !includes(this.#allow, ip)
  }
}

/** Whether a verdict refuses the address whatever the port. */
export function isPeerRefusal(verdict: PeerVerdict): verdict is PeerRefusal {
  return verdict === 'peer-denied' || verdict === 'peer-special' || verdict === 'peer-not-allowed'
}

function includes(networks: readonly Network[], address: TransportAddress): boolean {
  return networks.some((network) => network.contains(address))
}

function has(addresses: readonly TransportAddress[], address: TransportAddress): boolean {
  return addresses.some((own) => own.sameIp(address))
}

function isLoopback(address: TransportAddress): boolean {
  if (address.family === 4) return address.w3 >>> 24 === 127
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 1
}
