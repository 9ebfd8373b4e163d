import type { TransportAddress } from '../stun/address.ts'
import type { AllocationOwner } from './allocation.ts'
import { type QuotaGroup, type QuotaHolder, sourceOf } from './quota.ts'

const NO_LIMIT = Number.POSITIVE_INFINITY
const NO_GROUPS: readonly QuotaGroup[] = []
/** Between the parts of a name: in none that a person would choose. */
const SEPARATOR = '\0'

/** What an allocation counts in: its user, its client's address, its realm, and the tenant of its credential. */
export function quotaHolder(owner: AllocationOwner, client: TransportAddress): QuotaHolder {
  const { user, realm, claims } = owner
  const tenant = claims?.tenant
  const space = tenant === undefined ? realm.quotaName : `${realm.quotaName}${tenant}${SEPARATOR}`
  return {
    user: `${space}${user}`,
    source: sourceOf(client),
    allocationsOfUser: Math.min(claims?.allocations ?? NO_LIMIT, realm.allocationsPerUser ?? NO_LIMIT),
    groups: groupsOf(owner, space),
  }
}

function groupsOf({ realm, claims }: AllocationOwner, space: string): readonly QuotaGroup[] {
  const ofTenant = claims?.tenant === undefined ? undefined : claims.tenantAllocations
  if (realm.allocations === undefined && ofTenant === undefined) return NO_GROUPS
  const groups: QuotaGroup[] = []
  if (realm.allocations !== undefined)
    groups.push({ name: realm.quotaName, allocations: realm.allocations, refusal: 'realm-quota' })
  if (ofTenant !== undefined) groups.push({ name: space, allocations: ofTenant, refusal: 'tenant-quota' })
  return groups
}
