import type { AllocationQuota, QuotaHolder, QuotaLimits, QuotaRefusal, Source } from '../turn/quota.ts'
import { countsMemory, SharedCounts } from './shared-counts.ts'

/** What an allocation is counted under: everything, its user, its source, its realm and its tenant. */
const KEYS_PER_ALLOCATION = 5
const TOTAL = 'total'

/** Memory for the quota of a relay that carries so many allocations. */
export function quotaMemory(allocations: number, seed: number): SharedArrayBuffer {
  return countsMemory(allocations * KEYS_PER_ALLOCATION, seed)
}

/** The quota that the shards of one relay share. */
export class SharedQuota implements AllocationQuota {
  readonly #counts: SharedCounts

  /** `shard` counts from 1. */
  constructor(memory: SharedArrayBuffer, shard: number) {
    this.#counts = new SharedCounts(memory, shard)
  }

  get total(): number {
    return this.#counts.locked(() => this.#counts.count(TOTAL))
  }

  acquire(holder: QuotaHolder, limits: QuotaLimits): QuotaRefusal | undefined {
    const counts = this.#counts
    const { user, source, groups } = holder
    return counts.locked(() => {
      if (counts.count(TOTAL) >= limits.allocations || !counts.hasRoom(KEYS_PER_ALLOCATION))
        return 'relay-full'
      if (counts.count(userKey(user)) >= Math.min(limits.allocationsPerUser, holder.allocationsOfUser))
        return 'user-quota'
      const { allocationsPerAddress } = limits
      if (allocationsPerAddress > 0 && counts.count(sourceKey(source)) >= allocationsPerAddress)
        return 'address-quota'
      for (const { name, allocations, refusal } of groups) {
        if (counts.count(groupKey(name)) >= allocations) return refusal
      }
      counts.increment(TOTAL)
      counts.increment(userKey(user))
      counts.increment(sourceKey(source))
      for (const { name } of groups) counts.increment(groupKey(name))
      return undefined
    })
  }

  release({ user, source, groups }: QuotaHolder): void {
    const counts = this.#counts
    counts.locked(() => {
      if (!counts.decrement(userKey(user))) return
      counts.decrement(sourceKey(source))
      for (const { name } of groups) counts.decrement(groupKey(name))
      counts.decrement(TOTAL)
    })
  }

  /** Gives back what a shard held that is no more. */
  releaseAllOf(shard: number): void {
    this.#counts.releaseAllOf(shard)
  }
}

function userKey(user: string): string {
  return `user ${user}`
}

function sourceKey(source: Source): string {
  return `source ${source}`
}

function groupKey(name: string): string {
  return `group ${name}`
}
