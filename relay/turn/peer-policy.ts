import type { TransportAddress } from '../stun/address.ts'
import { embeddedIpv4 } from './embedded-ipv4.ts'
import { InternalNetworks } from './internal-networks.ts'
import { type Network, parseNetwork } from './network.ts'
import type { PortRange } from './relay-ports.ts'
import { SPECIAL_NETWORKS, SPECIAL_RULES, type SpecialRule } from './special-networks.ts'

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
  /** A node of the relay's cluster: the ports that relays there give out. */
  | 'node'
  /** One of the relay's advertised addresses: the ports of its live allocations and of its siblings'. */
  | 'hairpin'
  | PeerRefusal

export type PeerRefusal = 'peer-denied' | 'peer-special' | 'peer-not-allowed'

/** The rules that refuse peers besides those of special networks, each with what it refuses. */
export const OTHER_PEER_RULES = {
  deny: 'What peers.deny names.',
  'not-allowed': 'With peers.mode private, what peers.allow does not name.',
  own: 'Addresses of the relay itself.',
  internal: 'Pods and services of the cluster, unless peers.allow names them as narrowly.',
  node: 'Nodes of the cluster, but for the relay ports of the relays there.',
  credential: 'What the signed credential of the client does not list, where it lists peers.',
  port: 'Ports below 1024 but 443; listeners and control of the relay; at its own addresses, ports of no live allocation.',
} as const satisfies Record<string, string>

export type PeerRule = keyof typeof OTHER_PEER_RULES | SpecialRule

/** Every rule that may refuse a peer: a fixed set. */
export const PEER_RULES = [
  ...Object.keys(OTHER_PEER_RULES),
  ...Object.keys(SPECIAL_RULES),
] as readonly PeerRule[]

/** Why a peer is refused, for whoever asks: the rule, and the entry or block where it has several. */
export interface PeerExplanation {
  readonly rule: PeerRule
  readonly network?: string | undefined
}

/** What was found out about an address; one object per rule, made once. */
interface Judgement {
  readonly verdict: PeerVerdict
  readonly explanation?: PeerExplanation
}

/** A block of addresses with what it means to be in it. */
interface JudgedNetwork {
  readonly network: Network
  readonly judgement: Judgement
}

export interface PeerPolicyOptions {
  readonly mode: 'public' | 'private'
  readonly allow: readonly string[]
  readonly deny: readonly string[]
  readonly hairpin: boolean
  /** Relay ports of other relays at the advertised addresses. */
  readonly siblingPorts?: PortRange | undefined
  /** Blocks of pods and services of the relay's cluster. */
  readonly internal?: readonly string[]
  /** Addresses of the nodes of its cluster, and the ports that relays there give out. */
  readonly nodes?: readonly string[]
  readonly nodePorts?: PortRange
  /** Addresses that peers see as this relay. */
  readonly advertised: readonly TransportAddress[]
  /** Every address of this host that the relay opens something on. */
  readonly own: readonly TransportAddress[]
  /** Ports of listeners and control: never a peer on an own or loopback address. */
  readonly ownPorts: ReadonlySet<number>
}

interface PeerLists {
  readonly allow: readonly Network[]
  readonly deny: readonly JudgedNetwork[]
  readonly internal: InternalNetworks
}

/** Whether a live allocation of this relay has this relayed address. */
export type IsLiveRelay = (address: TransportAddress) => boolean

const PUBLIC: Judgement = { verdict: 'public' }
const ALLOWED: Judgement = { verdict: 'allowed' }
const OWN_ALLOWED: Judgement = { verdict: 'own-allowed' }
const HAIRPIN: Judgement = { verdict: 'hairpin' }
const OWN: Judgement = { verdict: 'peer-special', explanation: { rule: 'own' } }
const NOT_ALLOWED: Judgement = { verdict: 'peer-not-allowed', explanation: { rule: 'not-allowed' } }
const NOT_LISTED: Judgement = { verdict: 'peer-not-allowed', explanation: { rule: 'credential' } }
const NODE: Judgement = { verdict: 'node', explanation: { rule: 'node' } }
const NODE_INSIDE: Judgement = { verdict: 'peer-special', explanation: { rule: 'node' } }
const BY_PORT: PeerExplanation = { rule: 'port' }

const SPECIAL: readonly JudgedNetwork[] = SPECIAL_NETWORKS.map(({ rule, text, network }) => ({
  network,
  judgement: { verdict: 'peer-special', explanation: { rule, network: text } },
}))

/** Those that say more of an IPv6 address than the IPv4 address inside it: ::1 holds 0.0.0.1. */
const TELLING = SPECIAL.filter(({ judgement }) => judgement.explanation?.rule !== 'not-global-unicast')

/**
 * Which peers a relay talks to: the one place that decides for CreatePermission, ChannelBind, Send,
 * ChannelData and what peers send. `deny` wins over `allow`, `allow` over the built-in refusals.
 */
export class PeerPolicy {
  readonly #options: PeerPolicyOptions
  readonly #isLiveRelay: IsLiveRelay
  readonly #allow: readonly Network[]
  readonly #deny: readonly JudgedNetwork[]
  readonly #internal: InternalNetworks
  readonly #only: readonly Network[] | undefined

  /**
   * Throws an Error that names the entry of `allow` or `deny` that is no address or CIDR block. With `only`,
   * nobody outside of it is a peer.
   */
  constructor(
    options: PeerPolicyOptions,
    isLiveRelay: IsLiveRelay,
    only?: readonly Network[],
    lists: PeerLists = parseLists(options),
  ) {
    this.#options = options
    this.#isLiveRelay = isLiveRelay
    this.#allow = lists.allow
    this.#deny = lists.deny
    this.#internal = lists.internal
    this.#only = only
  }

  /** This policy for some of its peers. */
  narrowed(to: readonly Network[]): PeerPolicy {
    const lists = { allow: this.#allow, deny: this.#deny, internal: this.#internal }
    return new PeerPolicy(this.#options, this.#isLiveRelay, to, lists)
  }

  /** Judges an IP address; its port does not count, as permissions are per address (RFC 8656 §9). */
  judge(address: TransportAddress): PeerVerdict {
    return this.#find(address).verdict
  }

  /** Why a peer is refused; what is refused whatever the port is not refused for its port. */
  explain(peer: TransportAddress): PeerExplanation {
    return this.#find(peer).explanation ?? BY_PORT
  }

  /** Whether data may go to or come from this port of an address with this verdict. */
  admits(verdict: PeerVerdict, peer: TransportAddress): boolean {
    const { port } = peer
    if (port === 0) return false
    if (verdict === 'public') return port >= PRIVILEGED_PORTS_END || port === HTTPS_PORT
    if (verdict === 'allowed') return !(isLoopback(peer) && this.#options.ownPorts.has(port))
    if (verdict === 'hairpin') return this.#isLiveRelay(peer) || this.#isSibling(port)
    if (verdict === 'node') return this.#options.hairpin && isIn(this.#options.nodePorts, port)
    if (verdict !== 'own-allowed' || this.#options.ownPorts.has(port)) return false
    return this.#options.hairpin || !this.#isLiveRelay(peer)
  }

  #find(address: TransportAddress): Judgement {
    const judgement = this.#findAmongAll(address)
    if (!this.#only || isPeerRefusal(judgement.verdict)) return judgement
    return includes(this.#only, address) ? judgement : NOT_LISTED
  }

  #findAmongAll(address: TransportAddress): Judgement {
    const embedded = embeddedIpv4(address)
    const denied = firstOf(this.#deny, address) ?? firstOfAny(this.#deny, embedded)
    if (denied) return denied
    const allowed = includes(this.#allow, address)
    if (has(this.#options.own, address)) return this.#findOwn(address, allowed)
    for (const ip of embedded) {
      const inside = this.#findInside(ip)
      if (inside) return firstOf(TELLING, address) ?? inside
    }
    return this.#findInternal(address) ?? this.#findOutside(address, allowed)
  }

  #findOutside(address: TransportAddress, allowed: boolean): Judgement {
    if (!allowed && this.#options.mode === 'private') return NOT_ALLOWED
    const special = allowed ? undefined : firstOf(SPECIAL, address)
    if (special) return special
    if (this.#internal.isNode(address) && !this.#allowsExactly(address)) return NODE
    return allowed ? ALLOWED : PUBLIC
  }

  /** Pods and services; an entry of `allow` that is wider than their block does not mean them. */
  #findInternal(address: TransportAddress): Judgement | undefined {
    const block = this.#internal.blockOf(address)
    if (!block || this.#allowsAtLeast(block.network.prefixLength, address)) return undefined
    return { verdict: 'peer-special', explanation: { rule: 'internal', network: block.text } }
  }

  #allowsExactly(address: TransportAddress): boolean {
    return this.#allowsAtLeast(address.family === 4 ? 32 : 128, address)
  }

  #allowsAtLeast(prefixLength: number, address: TransportAddress): boolean {
    return this.#allow.some((network) => network.prefixLength >= prefixLength && network.contains(address))
  }

  #findOwn(address: TransportAddress, allowed: boolean): Judgement {
    if (allowed) return OWN_ALLOWED
    return this.#options.hairpin && has(this.#options.advertised, address) ? HAIRPIN : OWN
  }

  /** An address inside another one is never reached as an own one. */
  #findInside(ip: TransportAddress): Judgement | undefined {
    if (has(this.#options.own, ip)) return OWN
    const internal = this.#findInternal(ip)
    if (internal) return internal
    if (this.#internal.isNode(ip)) return NODE_INSIDE
    return includes(this.#allow, ip) ? undefined : firstOf(SPECIAL, ip)
  }

  #isSibling(port: number): boolean {
    const { siblingPorts, ownPorts } = this.#options
    return isIn(siblingPorts, port) && !ownPorts.has(port)
  }
}

function parseLists({ allow, deny, internal = [], nodes = [] }: PeerPolicyOptions): PeerLists {
  return {
    internal: new InternalNetworks(internal, nodes),
    allow: allow.map(parseNetwork),
    deny: deny.map((text) => ({
      network: parseNetwork(text),
      judgement: { verdict: 'peer-denied', explanation: { rule: 'deny', network: text } },
    })),
  }
}

/** Whether a verdict refuses the address whatever the port. */
export function isPeerRefusal(verdict: PeerVerdict): verdict is PeerRefusal {
  return verdict === 'peer-denied' || verdict === 'peer-special' || verdict === 'peer-not-allowed'
}

function firstOf(networks: readonly JudgedNetwork[], address: TransportAddress): Judgement | undefined {
  for (const { network, judgement } of networks) if (network.contains(address)) return judgement
  return undefined
}

function firstOfAny(
  networks: readonly JudgedNetwork[],
  addresses: readonly TransportAddress[],
): Judgement | undefined {
  for (const address of addresses) {
    const found = firstOf(networks, address)
    if (found) return found
  }
  return undefined
}

function isIn(range: PortRange | undefined, port: number): boolean {
  return range !== undefined && port >= range.min && port <= range.max
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
