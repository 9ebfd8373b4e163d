import type { TransportAddress } from '../stun/address.ts'
import type { Allocation, Channel, Permission, RelaySocket } from './allocation.ts'
import type { Link } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Offload, type OffloadedData, type OffloadedRates, REFUSED, UNTRIED } from './offload.ts'

type Relayed = Pick<OffloadedData, 'clientPackets' | 'clientBytes' | 'peerPackets' | 'peerBytes'>

/**
 * Keeps an `Offload` in step with the state machine. A permission is handed down when the first packet passes
 * under it, with its channels, and taken back when it, its channel or its allocation goes; in between its ends
 * follow those of the machine, which hold below by time alone.
 */
export class Offloading {
  readonly #core: TurnCore
  readonly #offload: Offload
  readonly #allocations = new Set<Allocation>()

  constructor(core: TurnCore, offload: Offload) {
    this.#core = core
    this.#offload = offload
  }

  /** Hands a permission down; what cannot be is not tried again before it is refreshed. */
  take(allocation: Allocation, permission: Permission): void {
    permission.offloaded = this.#open(allocation, permission)
    if (permission.offloaded < 0) return
    for (const channel of allocation.channels) {
      if (channel.permission === permission) this.#openChannel(channel)
    }
  }

  /** Something of this allocation was made, refreshed, or judged by a new policy. */
  renew(allocation: Allocation): void {
    const offload = this.#offload
    for (const permission of allocation.permissions) {
      if (permission.offloaded === REFUSED) permission.offloaded = UNTRIED
      if (permission.offloaded < 0) continue
      if (isEligible(permission))
        offload.setPermission(permission.offloaded, isAnyPort(permission), this.#end(allocation, permission))
      else this.#forgetWithChannels(allocation, permission)
    }
    for (const channel of allocation.channels) {
      if (channel.offloaded >= 0) offload.setChannelEnd(channel.offloaded, channel.expiresAt)
      else if (channel.permission.offloaded >= 0) this.#openChannel(channel)
    }
    if (allocation.offloaded >= 0) offload.setRates(allocation.offloaded, this.#rates(allocation))
  }

  forgetPermission(permission: Permission): void {
    if (permission.offloaded >= 0) this.#offload.closePermission(permission.offloaded)
    permission.offloaded = UNTRIED
  }

  forgetChannel(channel: Channel): void {
    if (channel.offloaded >= 0) this.#offload.closeChannel(channel.offloaded)
    channel.offloaded = UNTRIED
  }

  /** Takes everything of an allocation back; it may be handed down again. */
  forget(allocation: Allocation): void {
    if (allocation.offloaded < 0) return
    for (const channel of allocation.channels) this.forgetChannel(channel)
    for (const permission of allocation.permissions) this.forgetPermission(permission)
    this.#collect(allocation)
    this.#offload.closeAllocation(allocation.offloaded)
    allocation.offloaded = UNTRIED
    this.#allocations.delete(allocation)
  }

  /** Whether a packet that goes through the machine is within the rates of its allocation. */
  charge(allocation: Allocation, bytes: number, now: number): boolean {
    return this.#offload.charge(allocation.offloaded, bytes, now)
  }

  /** To be called every second or so. */
  tick(now: number): void {
    this.#offload.tick(now)
    for (const allocation of this.#allocations) this.#collect(allocation)
  }

  #forgetWithChannels({ channels }: Allocation, permission: Permission): void {
    for (const channel of channels) if (channel.permission === permission) this.forgetChannel(channel)
    this.forgetPermission(permission)
  }

  #open(allocation: Allocation, permission: Permission): number {
    if (!isEligible(permission) || !isDirect(allocation.link) || !allocation.live) return REFUSED
    const relay = allocation.relayOf(permission.address.family)
    if (!relay) return REFUSED
    if (allocation.offloaded < 0) allocation.offloaded = this.#openAllocation(allocation)
    if (allocation.offloaded < 0) return REFUSED
    return this.#offload.openPermission(allocation.offloaded, {
      peer: permission.address,
      relay: boundTo(relay),
      anyPort: isAnyPort(permission),
      untilMs: this.#end(allocation, permission),
    })
  }

  #openAllocation(allocation: Allocation): number {
    const handle = this.#offload.openAllocation({
      client: allocation.client,
      listener: allocation.link.local,
      dontFragment: allocation.dontFragment,
      rates: this.#rates(allocation),
    })
    if (handle >= 0) this.#allocations.add(allocation)
    return handle
  }

  #rates(allocation: Allocation): OffloadedRates {
    const { limits } = this.#core.config
    return {
      bytesPerSecond: allocation.bytesPerSecond(limits),
      packetsPerSecond: limits.packetsPerSecondPerAllocation,
    }
  }

  #openChannel(channel: Channel): void {
    const { permission, number, peer, expiresAt } = channel
    channel.offloaded = this.#offload.openChannel(permission.offloaded, number, peer.port, expiresAt)
  }

  /** A permission ends with its relayed address. */
  #end(allocation: Allocation, permission: Permission): number {
    const relay = allocation.relayOf(permission.address.family)
    return relay ? Math.min(permission.expiresAt, relay.expiresAt + this.#core.graceMs) : 0
  }

  #collect(allocation: Allocation): void {
    const data = this.#offload.collect(allocation.offloaded)
    const { counters } = this.#core
    const { offloaded } = counters
    for (const total of [allocation, counters, offloaded]) add(total, data)
    counters.drops['rate-limit'] += data.rateDrops
    offloaded.clientFrameBytes += data.clientFrameBytes
    offloaded.peerFrameBytes += data.peerFrameBytes
    offloaded.rateDrops += data.rateDrops
  }
}

function add(
  total: Relayed,
  { clientPackets, clientBytes, peerPackets, peerBytes }: Readonly<Relayed>,
): void {
  total.clientPackets += clientPackets
  total.clientBytes += clientBytes
  total.peerPackets += peerPackets
  total.peerBytes += peerBytes
}

/** Peers that are this relay itself take the way through the machine, which knows who of them is live. */
function isEligible({ verdict }: Permission): boolean {
  return verdict === 'public' || verdict === 'allowed'
}

function isAnyPort({ verdict }: Permission): boolean {
  return verdict === 'allowed'
}

/** Datagrams of such a client look on the wire as they do to the machine. */
function isDirect({ transport, proxied }: Link): boolean {
  return transport === 'udp' && !proxied
}

function boundTo({ address, relayed }: RelaySocket): TransportAddress {
  const bound = address.bind.clone()
  bound.port = relayed.port
  return bound
}
