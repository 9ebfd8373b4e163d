import type { TransportAddress } from '../stun/address.ts'
import type { AllocationOwner } from './allocation.ts'
import { type QuotaGroup, type QuotaHolder, sourceOf } from './quota.ts'

const NO_GROUPS: readonly QuotaGroup[] = []
/** Between the parts of a name: in none that a person would choose. */
const SEPARATOR = '\0'

/** What an allocation counts in: its user, its client's address, and the tenant that its credential names. */
export function quotaHolder({ user, realm, claims }: AllocationOwner, client: TransportAddress): QuotaHolder {
  const tenant = claims?.tenant
  const space = tenant === undefined ? realm.quotaName : `${realm.quotaName}${tenant}${SEPARATOR}`
  const limit = tenant === undefined ? undefined : claims?.tenantAllocations
  const group: QuotaGroup | undefined =
    limit === undefined ? undefined : { name: space, allocations: limit, refusal: 'tenant-quota' }
  return {
    user: `${space}${user}`,
    source: sourceOf(client),
    allocationsOfUser: claims?.allocations ?? Number.POSITIVE_INFINITY,
    groups: group ? [group] : NO_GROUPS,
  }
}
