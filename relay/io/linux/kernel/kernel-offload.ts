import { hrtime } from 'node:process'
import type { TransportAddress } from '../../../stun/address.ts'
import {
  newOffloadedData,
  type Offload,
  type OffloadedAllocationOptions,
  type OffloadedData,
  type OffloadedPermissionOptions,
  type OffloadedRates,
  REFUSED,
} from '../../../turn/offload.ts'
import { Memory } from '../memory.ts'
import { BPF_MEMORY_BYTES, BpfCalls } from './bpf-calls.ts'
import { writeAllocation, writePermission } from './entries.ts'
import { HopRenewal } from './hop-renewal.ts'
import { closeHop, localAddress, writeHop } from './hops.ts'
import { clientKey, numberKey, pairKey, peerKey, relayKey } from './keys.ts'
import { ALLOCATION, CHANNEL, LEASE, PERMISSION, TOTALS } from './layout.ts'
import type { MappedArray } from './mapped-array.ts'
import { type MapSizes, Maps } from './maps.ts'
import { Program } from './program.ts'
import { charge, writeRates } from './rates.ts'
import { ROUTE_CHANGES_MEMORY_BYTES, RouteChanges } from './route-changes.ts'
import { ROUTES_MEMORY_BYTES, type Route, Routes } from './routes.ts'
import { Slots } from './slots.ts'

/** A relay that has not said for so long that it lives gets every packet itself. */
const LEASE_MS = 10_000
/** The program's clock is behind by up to a tick, 10 ms where that is longest: what ends, ends so much earlier for it. */
const CLOCK_LAG_MS = 10

interface OpenAllocation {
  readonly client: TransportAddress
  readonly listener: TransportAddress
  readonly key: Uint8Array
  readonly relayKeys: Map<string, Uint8Array>
  readonly seen: OffloadedData
}

interface OpenPermission {
  readonly allocation: number
  readonly peer: TransportAddress
  readonly relay: TransportAddress
  readonly key: Uint8Array
}

interface OpenChannel {
  readonly numberKey: Uint8Array
  readonly pairKey: Uint8Array
}

/** The kernel path: an eBPF program forwards what stands in its maps, which the state machine fills by this class. */
export class KernelOffload implements Offload {
  readonly #memory = new Memory(BPF_MEMORY_BYTES + ROUTES_MEMORY_BYTES + ROUTE_CHANGES_MEMORY_BYTES + 4096)
  readonly #calls = new BpfCalls(this.#memory)
  readonly #routes: Routes
  readonly #routeChanges: RouteChanges
  readonly #hopRenewal: HopRenewal
  readonly #maps: Maps
  readonly #program: Program
  readonly #allocationSlots: Slots
  readonly #permissionSlots: Slots
  readonly #channelSlots: Slots
  readonly #allocations: (OpenAllocation | undefined)[] = []
  readonly #permissions: (OpenPermission | undefined)[] = []
  readonly #channels: (OpenChannel | undefined)[] = []
  readonly #data = newOffloadedData()
  /** What to add to a time of `performance.now` for one of CLOCK_MONOTONIC, which the program reads. */
  readonly #clockOffsetNs = hrtime.bigint() - BigInt(Math.round(performance.now() * 1e6))
  #closed = false

  /** Throws where the kernel or the rights for it are missing. */
  constructor(sizes: MapSizes) {
    this.#maps = new Maps(this.#memory, this.#calls, sizes)
    try {
      this.#program = new Program(this.#calls, this.#maps.descriptors)
    } catch (error) {
      this.#maps.close()
      throw error
    }
    this.#routes = new Routes(this.#memory)
    this.#routeChanges = new RouteChanges(this.#memory)
    this.#hopRenewal = new HopRenewal({
      count: () => this.#allocations.length + this.#permissions.length,
      renew: (index) => this.#renew(index),
      changed: () => this.#routeChanges.look(),
    })
    this.#allocationSlots = new Slots(sizes.allocations)
    this.#permissionSlots = new Slots(sizes.permissions)
    this.#channelSlots = new Slots(sizes.channels)
    this.tick(performance.now())
  }

  /** Interfaces that the program is attached to. */
  get interfaces(): readonly number[] {
    return this.#program.interfaces
  }

  openAllocation(options: OffloadedAllocationOptions): number {
    const { client } = options
    const route = this.#route(client, options.listener)
    const slot = route ? this.#allocationSlots.take(performance.now()) : -1
    if (!route || slot < 0) return REFUSED
    const listener = localAddress(options.listener, route)
    writeAllocation(this.#maps.allocations, slot, { ...options, listener }, route)
    const key = clientKey(client, listener)
    if (!this.#maps.point('by_client', key, slot)) {
      this.#allocationSlots.putBack(slot)
      return REFUSED
    }
    this.#allocations[slot] = {
      client: client.clone(),
      listener,
      key,
      relayKeys: new Map(),
      seen: newOffloadedData(),
    }
    return slot
  }

  closeAllocation(slot: number): void {
    const open = this.#allocations[slot]
    if (!open) return
    this.#maps.remove('by_client', open.key)
    for (const key of open.relayKeys.values()) this.#maps.remove('by_relay', key)
    this.#allocations[slot] = undefined
    this.#allocationSlots.give(slot, performance.now())
  }

  setRates(slot: number, rates: OffloadedRates): void {
    writeRates(this.#maps.allocations, this.#maps.allocations.at(slot), rates)
  }

  openPermission(allocation: number, options: OffloadedPermissionOptions): number {
    const open = this.#allocations[allocation]
    const route = open && this.#route(options.peer, options.relay)
    const slot = route ? this.#permissionSlots.take(performance.now()) : -1
    if (!route || slot < 0) return REFUSED
    const peer = options.peer.clone()
    const relay = localAddress(options.relay, route)
    writePermission(this.#maps.permissions, slot, allocation, { ...options, relay }, route)
    this.#setPermissionEnd(slot, options.untilMs)
    const key = peerKey(allocation, peer)
    if (!this.#pointRelay(open, allocation, relay) || !this.#maps.point('by_peer', key, slot)) {
      this.#setPermissionEnd(slot, 0)
      this.#permissionSlots.putBack(slot)
      return REFUSED
    }
    this.#permissions[slot] = { allocation, peer, relay, key }
    return slot
  }

  setPermission(slot: number, anyPort: boolean, untilMs: number): void {
    const { permissions } = this.#maps
    permissions.view.setUint8(permissions.at(slot) + PERMISSION.anyPort, anyPort ? 1 : 0)
    this.#setPermissionEnd(slot, untilMs)
  }

  closePermission(slot: number): void {
    const open = this.#permissions[slot]
    if (!open) return
    this.#setPermissionEnd(slot, 0)
    this.#maps.remove('by_peer', open.key)
    this.#permissions[slot] = undefined
    this.#permissionSlots.give(slot, performance.now())
  }

  openChannel(permission: number, number: number, peerPort: number, untilMs: number): number {
    const under = this.#permissions[permission]
    const slot = under ? this.#channelSlots.take(performance.now()) : -1
    if (!under || slot < 0) return REFUSED
    const { channels } = this.#maps
    const at = channels.at(slot)
    channels.clear(slot)
    channels.view.setUint32(at + CHANNEL.permission, permission, true)
    channels.view.setUint16(at + CHANNEL.number, number)
    channels.view.setUint16(at + CHANNEL.port, peerPort)
    this.setChannelEnd(slot, untilMs)
    const byNumber = numberKey(this.#allocations[under.allocation]!.key, number)
    const byPair = pairKey(under.relay, under.peer, peerPort)
    if (!this.#maps.point('by_number', byNumber, slot) || !this.#maps.point('by_pair', byPair, slot)) {
      this.#maps.remove('by_number', byNumber)
      this.setChannelEnd(slot, 0)
      this.#channelSlots.give(slot, performance.now())
      return REFUSED
    }
    this.#channels[slot] = { numberKey: byNumber, pairKey: byPair }
    return slot
  }

  setChannelEnd(slot: number, untilMs: number): void {
    const { channels } = this.#maps
    channels.set64(channels.at(slot) + CHANNEL.until, this.#kernelTime(untilMs - CLOCK_LAG_MS))
  }

  closeChannel(slot: number): void {
    const open = this.#channels[slot]
    if (!open) return
    this.setChannelEnd(slot, 0)
    this.#maps.remove('by_number', open.numberKey)
    this.#maps.remove('by_pair', open.pairKey)
    this.#channels[slot] = undefined
    this.#channelSlots.give(slot, performance.now())
  }

  /** Whether packets go on with the DSCP that they came with; they do unless this is called. */
  keepDscp(kept: boolean): void {
    this.#maps.lease.view.setUint8(LEASE.withoutDscp, kept ? 0 : 1)
  }

  charge(slot: number, bytes: number, now: number): boolean {
    const { allocations } = this.#maps
    return charge(allocations, allocations.at(slot), bytes, this.#kernelTime(now))
  }

  collect(slot: number): Readonly<OffloadedData> {
    const data = this.#data
    const { allocations } = this.#maps
    const seen = this.#allocations[slot]?.seen
    if (!seen) return Object.assign(data, newOffloadedData())
    const at = allocations.at(slot)
    const take = (name: keyof OffloadedData, offset: number): void => {
      const count = allocations.count(at + offset)
      data[name] = count - seen[name]
      seen[name] = count
    }
    take('clientPackets', ALLOCATION.fromClient + TOTALS.packets)
    take('clientBytes', ALLOCATION.fromClient + TOTALS.bytes)
    take('clientFrameBytes', ALLOCATION.fromClient + TOTALS.frameBytes)
    take('peerPackets', ALLOCATION.fromPeer + TOTALS.packets)
    take('peerBytes', ALLOCATION.fromPeer + TOTALS.bytes)
    take('peerFrameBytes', ALLOCATION.fromPeer + TOTALS.frameBytes)
    take('rateDrops', ALLOCATION.rateDrops)
    return data
  }

  tick(now: number): void {
    this.#maps.lease.set64(LEASE.until, this.#kernelTime(now + LEASE_MS - CLOCK_LAG_MS))
    this.#hopRenewal.tick()
  }

  /** Nothing is forwarded any more when it returns. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#maps.lease.set64(LEASE.until, 0n)
    this.#program.close()
    this.#hopRenewal.close()
    this.#routeChanges.close()
    this.#routes.close()
    this.#maps.close()
  }

  /** The way to a destination, by an interface that packets from there reach the program by. */
  #route(to: TransportAddress, from: TransportAddress): Route | undefined {
    const route = this.#routes.find(to, from)
    return route && this.#program.attach(route.interfaceIndex) ? route : undefined
  }

  /** Looks a next hop up anew, of an allocation or, behind these, of a permission; false where there is none. */
  #renew(index: number): boolean {
    const slot = index - this.#allocations.length
    const allocation = this.#allocations[index]
    const permission = this.#permissions[slot]
    if (allocation) {
      const { allocations } = this.#maps
      const at = allocations.at(index) + ALLOCATION.hop
      this.#renewHop(allocations, at, allocation.client, allocation.listener)
    } else if (permission) {
      const { permissions } = this.#maps
      const at = permissions.at(slot) + PERMISSION.hop
      this.#renewHop(permissions, at, permission.peer, permission.relay)
    }
    return allocation !== undefined || permission !== undefined
  }

  #renewHop(array: MappedArray, at: number, to: TransportAddress, from: TransportAddress): void {
    const route = this.#route(to, from)
    if (route) writeHop(array, at, route)
    else closeHop(array, at)
  }

  #pointRelay(open: OpenAllocation, slot: number, relay: TransportAddress): boolean {
    const key = relayKey(relay)
    const name = key.join()
    if (open.relayKeys.has(name)) return true
    if (!this.#maps.point('by_relay', key, slot)) return false
    open.relayKeys.set(name, key)
    return true
  }

  #setPermissionEnd(slot: number, untilMs: number): void {
    const { permissions } = this.#maps
    permissions.set64(permissions.at(slot) + PERMISSION.until, this.#kernelTime(untilMs - CLOCK_LAG_MS))
  }

  #kernelTime(ms: number): bigint {
    return ms <= 0 ? 0n : BigInt(Math.round(ms * 1e6)) + this.#clockOffsetNs
  }
}
