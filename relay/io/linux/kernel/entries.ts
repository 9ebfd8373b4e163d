import type { OffloadedAllocationOptions, OffloadedPermissionOptions } from '../../../turn/offload.ts'
import { writeHop } from './hops.ts'
import { ALLOCATION, PERMISSION, writeAddress } from './layout.ts'
import type { MappedArray } from './mapped-array.ts'
import { writeRates } from './rates.ts'
import type { Route } from './routes.ts'

/** Writes an allocation, its counters and buckets new. */
export function writeAllocation(
  allocations: MappedArray,
  slot: number,
  { client, listener, dontFragment, rates }: OffloadedAllocationOptions,
  route: Route,
): void {
  const { view } = allocations
  const at = allocations.at(slot)
  allocations.clear(slot)
  writeAddress(view, at + ALLOCATION.client, client)
  writeAddress(view, at + ALLOCATION.listener, listener)
  view.setUint16(at + ALLOCATION.clientPort, client.port)
  view.setUint16(at + ALLOCATION.listenerPort, listener.port)
  view.setUint8(at + ALLOCATION.family, client.family)
  view.setUint8(at + ALLOCATION.dontFragment, dontFragment ? 1 : 0)
  writeHop(allocations, at + ALLOCATION.hop, route)
  writeRates(allocations, at, rates)
}

/** Writes a permission that has no end yet, and so lets nothing pass. */
export function writePermission(
  permissions: MappedArray,
  slot: number,
  allocation: number,
  { peer, relay, anyPort }: OffloadedPermissionOptions,
  route: Route,
): void {
  const { view } = permissions
  const at = permissions.at(slot)
  permissions.clear(slot)
  view.setUint32(at + PERMISSION.allocation, allocation, true)
  view.setUint8(at + PERMISSION.family, peer.family)
  view.setUint8(at + PERMISSION.anyPort, anyPort ? 1 : 0)
  writeAddress(view, at + PERMISSION.peer, peer)
  writeAddress(view, at + PERMISSION.relay, relay)
  view.setUint16(at + PERMISSION.relayPort, relay.port)
  writeHop(permissions, at + PERMISSION.hop, route)
}
