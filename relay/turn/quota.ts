import type { TransportAddress } from '../stun/address.ts'

/** Why no further allocation is granted. */
export type QuotaRefusal = 'user-quota' | 'address-quota' | 'relay-full' | QuotaGroup['refusal']

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

/** What several users share. */
export interface QuotaGroup {
  readonly name: string
  readonly allocations: number
  readonly refusal: 'tenant-quota' | 'realm-quota'
}

/** What one allocation or reservation counts in. The source is that of the request, wherever the client moves to. */
export interface QuotaHolder {
  readonly user: string
  readonly source: Source
  /** Allocations that the user may have, where that is fewer than others may. */
  readonly allocationsOfUser: number
  readonly groups: readonly QuotaGroup[]
}

/**
 * Counts what allocations and reservations a relay, each user and each source hold (RFC 8656 §5). Shards of
 * one relay share an implementation of their own.
 */
export interface AllocationQuota {
  readonly total: number
  acquire(holder: QuotaHolder, limits: QuotaLimits): QuotaRefusal | undefined
  release(holder: QuotaHolder): void
}

/** The quota of a relay with one shard. */
export class LocalQuota implements AllocationQuota {
  readonly #perUser = new Map<string, number>()
  readonly #perSource = new Map<Source, number>()
  readonly #perGroup = new Map<string, number>()
  #total = 0

  get total(): number {
    return this.#total
  }

  acquire(holder: QuotaHolder, limits: QuotaLimits): QuotaRefusal | undefined {
    const { user, source, groups } = holder
    if (this.#total >= limits.allocations) return 'relay-full'
    const ofUser = this.#perUser.get(user) ?? 0
    if (ofUser >= Math.min(limits.allocationsPerUser, holder.allocationsOfUser)) return 'user-quota'
    const ofSource = this.#perSource.get(source) ?? 0
    const { allocationsPerAddress } = limits
    if (allocationsPerAddress > 0 && ofSource >= allocationsPerAddress) return 'address-quota'
    for (const { name, allocations, refusal } of groups) {
      if ((this.#perGroup.get(name) ?? 0) >= allocations) return refusal
    }
    this.#perUser.set(user, ofUser + 1)
    this.#perSource.set(source, ofSource + 1)
    for (const { name } of groups) this.#perGroup.set(name, (this.#perGroup.get(name) ?? 0) + 1)
    this.#total++
    return undefined
  }

  release({ user, source, groups }: QuotaHolder): void {
    if (!decrement(this.#perUser, user)) return
    decrement(this.#perSource, source)
    for (const { name } of groups) decrement(this.#perGroup, name)
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
