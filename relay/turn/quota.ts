/** Why no further allocation is granted. */
export type QuotaRefusal = 'user-quota' | 'relay-full'

export interface QuotaLimits {
  readonly allocations: number
  readonly allocationsPerUser: number
}

/**
 * Counts what allocations and reservations a relay and each user hold (RFC 8656 §5). Shards of one relay
 * share an implementation of their own.
 */
export interface AllocationQuota {
  readonly total: number
  acquire(user: string, limits: QuotaLimits): QuotaRefusal | undefined
  release(user: string): void
}

/** The quota of a relay with one shard. */
export class LocalQuota implements AllocationQuota {
  readonly #perUser = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  acquire(user: string, limits: QuotaLimits): QuotaRefusal | undefined {
    if (this.#total >= limits.allocations) return 'relay-full'
    const held = this.#perUser.get(user) ?? 0
    if (held >= limits.allocationsPerUser) return 'user-quota'
    this.#perUser.set(user, held + 1)
    this.#total++
    return undefined
  }

  release(user: string): void {
    const held = this.#perUser.get(user)
    if (held === undefined) return
    this.#total--
    if (held === 1) this.#perUser.delete(user)
    else this.#perUser.set(user, held - 1)
  }
}
