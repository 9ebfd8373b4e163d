import type { OffloadedRates } from '../../../turn/offload.ts'
import { ALLOCATION } from './layout.ts'
import type { MappedArray } from './mapped-array.ts'

const SECOND_NS = 1_000_000_000n
const ATTEMPTS_MAX = 4

/** Writes what a byte and a packet cost, in nanoseconds; a rate of 0 is none. */
export function writeRates(allocations: MappedArray, at: number, rates: OffloadedRates): void {
  const { bytesPerSecond, packetsPerSecond } = rates
  allocations.set64(at + ALLOCATION.byteCost, cost(SECOND_NS << 16n, bytesPerSecond))
  allocations.set64(at + ALLOCATION.packetCost, cost(SECOND_NS, packetsPerSecond))
}

/** Takes a packet from the buckets of an allocation, as the program does; false: it is beyond its rates. */
export function charge(allocations: MappedArray, at: number, bytes: number, nowNs: bigint): boolean {
  const byteCost = allocations.get64(at + ALLOCATION.byteCost)
  const packetCost = allocations.get64(at + ALLOCATION.packetCost)
  return (
    take(allocations, at + ALLOCATION.packetsFullAt, packetCost, nowNs) &&
    take(allocations, at + ALLOCATION.bytesFullAt, (byteCost * BigInt(bytes)) >> 16n, nowNs)
  )
}

function take(allocations: MappedArray, at: number, cost: bigint, nowNs: bigint): boolean {
  if (cost === 0n) return true
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const old = allocations.get64(at)
    const start = old + SECOND_NS > nowNs ? old : nowNs - SECOND_NS
    if (start + cost > nowNs) return false
    if (allocations.exchange64(at, old, start + cost)) return true
  }
  return true
}

function cost(unit: bigint, perSecond: number): bigint {
  return perSecond === 0 ? 0n : unit / BigInt(perSecond)
}
