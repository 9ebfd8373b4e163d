import type { TransportAddress } from '../stun/address.ts'
import { AddressMap } from '../stun/address-map.ts'
import { CHANNEL_NUMBER_MIN } from '../stun/channel-data.ts'
import { NumberMap } from '../stun/number-map.ts'
import { type Allocation, Channel, type FiveTuple, Permission, RelaySocket } from './allocation.ts'
import type { Link } from './contract.ts'
import type { Offloading } from './offloading.ts'
import type { PeerVerdict } from './peer-policy.ts'
import type { RelayAddress } from './relay-ports.ts'
import { Slab } from './slab.ts'

/** Most 5-tuples, permissions and channels of one table, whatever the configured limits. */
const ALLOCATIONS_MAX = 65_536
const PERMISSIONS_MAX = 1_048_576
const CHANNELS_MAX = 1_048_576
const CHANNEL_NUMBERS = 4096
const ANY_PORT = 0
const ONE_SCOPE = 0

/**
 * All live state, and every index of it: by 5-tuple, relay socket, relayed address, peer and channel number.
 * Lookups allocate nothing. An entry is in all of its indexes or in none.
 */
export class AllocationTable {
  readonly #allocations = new Slab<Allocation>()
  readonly #permissions = new Slab<Permission>()
  readonly #channels = new Slab<Channel>()
  readonly #byFiveTuple: AddressMap
  readonly #byRelayed: AddressMap
  readonly #permissionByIp: AddressMap
  readonly #channelByPeer: AddressMap
  /** Keyed by allocation and channel number. */
  readonly #channelByNumber = new NumberMap<Channel>()
  readonly #relayById = new NumberMap<RelaySocket>()
  /** Allocations with two 5-tuples. */
  #moving = 0

  readonly #offloading: Offloading | undefined

  constructor(seed: number, offloading?: Offloading) {
    this.#offloading = offloading
    this.#byFiveTuple = new AddressMap(ALLOCATIONS_MAX, seed)
    this.#byRelayed = new AddressMap(ALLOCATIONS_MAX * 2, seed)
    this.#permissionByIp = new AddressMap(PERMISSIONS_MAX, seed)
    this.#channelByPeer = new AddressMap(CHANNELS_MAX, seed)
  }

  /** Allocations, those included whose sockets are not bound yet. */
  get size(): number {
    return this.#byFiveTuple.size - this.#moving
  }

  get permissionCount(): number {
    return this.#permissionByIp.size
  }

  get channelCount(): number {
    return this.#channelByPeer.size
  }

  all(): Allocation[] {
    return this.#allocations.all()
  }

  /** The allocations of a link, those included that move to it: of a stream at most one. */
  onLink(link: Link): Allocation[] {
    if (link.remote === undefined) {
      return this.all().filter((one) => one.link.id === link.id || one.mobility?.next?.link.id === link.id)
    }
    const allocation = this.find(link.id, link.remote)
    return allocation ? [allocation] : []
  }

  /** Who has an allocation on a link, or moves one there. */
  clientsOf(link: number): TransportAddress[] {
    const fiveTuples = this.all().flatMap((one) => (one.mobility?.next ? [one, one.mobility.next] : [one]))
    return fiveTuples.filter((one) => one.link.id === link).map(({ client }) => client)
  }

  /** The allocation with this number in the table. */
  at(index: number): Allocation | undefined {
    return this.#allocations.get(index)
  }

  /** The allocation of a 5-tuple: a link and the client's address. */
  find(link: number, client: TransportAddress): Allocation | undefined {
    return this.#allocations.get(this.#byFiveTuple.get(link, client))
  }

  relay(id: number): RelaySocket | undefined {
    return this.#relayById.get(id)
  }

  /** The live relay socket that peers see at an address. */
  relayAt(relayed: TransportAddress): RelaySocket | undefined {
    const id = this.#byRelayed.get(ONE_SCOPE, relayed)
    return id < 0 ? undefined : this.#relayById.get(id)
  }

  permission(allocation: Allocation, peer: TransportAddress): Permission | undefined {
    return this.#permissions.get(this.#permissionByIp.get(allocation.index, peer, ANY_PORT))
  }

  channel(allocation: Allocation, number: number): Channel | undefined {
    return this.#channelByNumber.get(channelKey(allocation, number))
  }

  channelTo(allocation: Allocation, peer: TransportAddress): Channel | undefined {
    return this.#channels.get(this.#channelByPeer.get(allocation.index, peer))
  }

  /** False when the table is full. */
  add(allocation: Allocation): boolean {
    const index = this.#allocations.add(allocation)
    if (this.#byFiveTuple.set(allocation.link.id, allocation.client, index)) {
      allocation.index = index
      return true
    }
    this.#allocations.remove(index)
    return false
  }

  /** Gives a mobile allocation a second 5-tuple, in place of the second one it may have; false when the table is full. */
  setNext(allocation: Allocation, next: FiveTuple): boolean {
    if (!this.#byFiveTuple.set(next.link.id, next.client, allocation.index)) return false
    this.dropNext(allocation)
    this.#moving++
    allocation.mobility!.next = next
    return true
  }

  /** Forgets the second 5-tuple. */
  dropNext({ mobility }: Allocation): void {
    if (!mobility?.next) return
    this.#byFiveTuple.delete(mobility.next.link.id, mobility.next.client)
    mobility.next = undefined
    this.#moving--
  }

  /** Forgets the first 5-tuple, and what was proven on it, in favour of the second. */
  takeNext(allocation: Allocation): void {
    const { mobility } = allocation
    if (!mobility?.next) return
    this.#offloading?.forget(allocation)
    this.#byFiveTuple.delete(allocation.link.id, allocation.client)
    allocation.link = mobility.next.link
    allocation.client = mobility.next.client
    allocation.nonce = undefined
    mobility.next = undefined
    this.#moving--
  }

  /** Takes an allocation and all it holds out of every index; its lists stay as they were. */
  remove(allocation: Allocation): void {
    for (const channel of allocation.channels) this.removeChannel(allocation, channel)
    for (const permission of allocation.permissions) this.removePermission(allocation, permission)
    for (const relay of allocation.relays) this.#forgetRelay(relay)
    this.dropNext(allocation)
    this.#byFiveTuple.delete(allocation.link.id, allocation.client)
    this.#allocations.remove(allocation.index)
    allocation.index = -1
  }

  addRelay(id: number, allocation: Allocation, address: RelayAddress, port: number): RelaySocket {
    const relay = new RelaySocket(id, allocation, address, port)
    allocation.relays = allocation.relays.concat(relay)
    this.#relayById.set(id, relay)
    return relay
  }

  /** From now on other clients of this relay may reach it. */
  markBound(relay: RelaySocket): void {
    relay.bound = true
    this.#byRelayed.set(ONE_SCOPE, relay.relayed, relay.id)
  }

  removeRelay(relay: RelaySocket): void {
    this.#offloading?.forget(relay.allocation)
    this.#forgetRelay(relay)
    relay.allocation.relays = without(relay.allocation.relays, relay)
  }

  /** The permission for a peer's IP, there already or new; undefined when the table is full. */
  ensurePermission(
    allocation: Allocation,
    peer: TransportAddress,
    verdict: PeerVerdict,
  ): Permission | undefined {
    const found = this.permission(allocation, peer)
    if (found) return found
    const permission = new Permission(peer.clone(), verdict)
    permission.index = this.#permissions.add(permission)
    if (!this.#permissionByIp.set(allocation.index, peer, permission.index, ANY_PORT)) {
      this.#permissions.remove(permission.index)
      return undefined
    }
    allocation.permissions = allocation.permissions.concat(permission)
    return permission
  }

  hasRoomForPermissions(count: number): boolean {
    return this.#permissionByIp.size + count <= PERMISSIONS_MAX
  }

  removePermission(allocation: Allocation, permission: Permission): void {
    this.#offloading?.forgetPermission(permission)
    this.#permissionByIp.delete(allocation.index, permission.address, ANY_PORT)
    this.#permissions.remove(permission.index)
    allocation.permissions = without(allocation.permissions, permission)
  }

  /** A new channel; undefined when the table is full. */
  addChannel(
    allocation: Allocation,
    number: number,
    peer: TransportAddress,
    permission: Permission,
  ): Channel | undefined {
    const { address } = permission
    const own = address.port === peer.port ? address : peer.clone()
    const channel = new Channel(number, own, permission)
    channel.index = this.#channels.add(channel)
    if (!this.#channelByPeer.set(allocation.index, peer, channel.index)) {
      this.#channels.remove(channel.index)
      return undefined
    }
    this.#channelByNumber.set(channelKey(allocation, number), channel)
    allocation.channels = allocation.channels.concat(channel)
    permission.channels++
    return channel
  }

  removeChannel(allocation: Allocation, channel: Channel): void {
    this.#offloading?.forgetChannel(channel)
    this.#channelByPeer.delete(allocation.index, channel.peer)
    this.#channelByNumber.delete(channelKey(allocation, channel.number))
    this.#channels.remove(channel.index)
    allocation.channels = without(allocation.channels, channel)
    channel.permission.channels--
  }

  #forgetRelay(relay: RelaySocket): void {
    this.#relayById.delete(relay.id)
    if (relay.bound) this.#byRelayed.delete(ONE_SCOPE, relay.relayed)
    relay.bound = false
  }
}

function channelKey(allocation: Allocation, number: number): number {
  return allocation.index * CHANNEL_NUMBERS + (number - CHANNEL_NUMBER_MIN)
}

function without<T>(items: readonly T[], gone: T): readonly T[] {
  return items.filter((item) => item !== gone)
}
