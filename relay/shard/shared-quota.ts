import type { AllocationQuota, QuotaLimits, QuotaRefusal, Source } from '../turn/quota.ts'
import { countsMemory, SharedCounts } from './shared-counts.ts'

/** What an allocation is counted under: everything, its user, its source. */
const KEYS_PER_ALLOCATION = 3
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

  acquire(user: string, source: Source, limits: QuotaLimits): QuotaRefusal | undefined {
    const counts = this.#counts
    return counts.locked(() => {
      if (counts.count(TOTAL) >= limits.allocations || !counts.hasRoom(KEYS_PER_ALLOCATION))
        return 'relay-full'
      if (counts.count(userKey(user)) >= limits.allocationsPerUser) return 'user-quota'
      const { allocationsPerAddress } = limits
      if (allocationsPerAddress > 0 && counts.count(sourceKey(source)) >= allocationsPerAddress)
        return 'address-quota'
      counts.increment(TOTAL)
      counts.increment(userKey(user))
      counts.increment(sourceKey(source))
      return undefined
    })
  }

  release(user: string, source: Source): void {
    const counts = this.#counts
    counts.locked(() => {
      if (!counts.decrement(userKey(user))) return
      counts.decrement(sourceKey(source))
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
