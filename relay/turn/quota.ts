import type { TransportAddress } from '../stun/address.ts'

/** Why no further allocation is granted. */
export type QuotaRefusal = 'user-quota' | 'address-quota' | 'relay-full'

export interface QuotaLimits {
  readonly allocations: number
  readonly allocationsPerUser: number
  /** 0 is no limit. */
  readonly allocationsPerAddress: number
}

/** What allocations of one place are counted by: its IPv4 address, or its IPv6 /64. */
export type Source = number | string

export function sourceOf({ family, w0, w1, w3 }: TransportAddress): Source {
  return family === 4 ? w3 : `${w0}:${w1}`
}

/**
 * Counts what allocations and reservations a relay, each user and each source hold (RFC 8656 §5). Shards of
 * one relay share an implementation of their own.
 */
export interface AllocationQuota {
  readonly total: number
  acquire(user: string, source: Source, limits: QuotaLimits): QuotaRefusal | undefined
  /** The source is that of the request which acquired it, wherever the client has moved to. */
  release(user: string, source: Source): void
}

/** The quota of a relay with one shard. */
export class LocalQuota implements AllocationQuota {
  readonly #perUser = new Map<string, number>()
  readonly #perSource = new Map<Source, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  acquire(user: string, source: Source, limits: QuotaLimits): QuotaRefusal | undefined {
    if (this.#total >= limits.allocations) return 'relay-full'
    const ofUser = this.#perUser.get(user) ?? 0
    if (ofUser >= limits.allocationsPerUser) return 'user-quota'
    const ofSource = this.#perSource.get(source) ?? 0
    const { allocationsPerAddress } = limits
    if (allocationsPerAddress > 0 && ofSource >= allocationsPerAddress) return 'address-quota'
    this.#perUser.set(user, ofUser + 1)
    this.#perSource.set(source, ofSource + 1)
    this.#total++
    return undefined
  }

  release(user: string, source: Source): void {
    if (!decrement(this.#perUser, user)) return
    decrement(this.#perSource, source)
    this.#total--
  }
}

/** False where nothing is held. */
function decrement<K>(counts: Map<K, number>, key: K): boolean {
  const held = counts.get(key)
  if (held === undefined) return false
  if (held === 1) counts.delete(key)
  else counts.set(key, held - 1)
  return true
}
