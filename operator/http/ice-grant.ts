import { z } from 'zod'
import { network } from '../../relay/api/config-fields.ts'
import { peerPolicyName } from '../../relay/api/signed-credential.ts'
import type { PublishedCluster } from '../controller/contract.ts'
import type { CredentialGrant } from '../credentials/issue.ts'
import type { Principal } from './authentication.ts'
import { badRequest, forbidden } from './http-error.ts'

const PRINTABLE = /^[\p{L}\p{N}\p{P}\p{S} ]+$/u
const NETWORKS_MAX = 8
const allocations = z.int().min(1).max(65_536)

const tenant = z.string().max(128).regex(PRINTABLE, 'must be printable characters')
const limits = z.strictObject({
  /** Of the user, on one relay. */
  allocations: allocations.optional(),
  /** Of the whole tenant, on one relay. */
  tenantAllocations: allocations.optional(),
  /** Of one allocation, each direction. */
  bytesPerSecond: z.int().min(1).max(100_000_000_000).optional(),
})
const networks = z.array(network).min(1).max(NETWORKS_MAX)

/** What a caller of `/v1/ice` may ask a credential to say, so that it is a signed one. */
export const askedGrant = {
  tenant: tenant.optional(),
  limits: limits.optional(),
  peers: z.strictObject({ policy: peerPolicyName.optional(), networks: networks.optional() }).optional(),
}

/** What every credential says that is issued for an API key, and the most that its holder may ask for. */
export const keyGrant = z.strictObject({
  tenant: tenant.optional(),
  limits: limits.optional(),
  /** Further realms that may be asked for. */
  realms: z.array(z.string().max(127)).max(16).optional(),
  peers: z
    .strictObject({
      /** Policies that may be asked for; the first is that of credentials for which none is. */
      policies: z.array(peerPolicyName).min(1).max(32).optional(),
      networks: networks.optional(),
    })
    .optional(),
})

type Asked = z.infer<z.ZodObject<typeof askedGrant>>
type KeyGrant = z.infer<typeof keyGrant>

/** What the credential is to say; undefined: nothing, it is a plain one. Throws where the caller may not ask for it. */
export function grantFor(
  principal: Principal,
  asked: Asked,
  cluster: Pick<PublishedCluster, 'key' | 'peerPolicies'>,
): CredentialGrant | undefined {
  const bound = principal.kind === 'api-key' ? principal.key.grant : undefined
  const grant: CredentialGrant = withoutUndefined({
    tenant: tenantOf(asked, bound),
    allocations: lower(asked.limits?.allocations, bound?.limits?.allocations),
    tenantAllocations: lower(asked.limits?.tenantAllocations, bound?.limits?.tenantAllocations),
    bytesPerSecond: lower(asked.limits?.bytesPerSecond, bound?.limits?.bytesPerSecond),
    peerPolicy: policyOf(principal, asked, cluster),
    peers: networksOf(asked, bound),
  })
  if (Object.keys(grant).length === 0) return undefined
  if (grant.tenantAllocations !== undefined && grant.tenant === undefined)
    throw badRequest('limits.tenantAllocations: name the tenant as "tenant"')
  return grant
}

/** The further realm that a credential is wanted for; undefined: the default one. Throws where it is not to be had. */
export function realmFor(
  principal: Principal,
  asked: string | undefined,
  { key, realm, realms }: Pick<PublishedCluster, 'key' | 'realm' | 'realms'>,
): string | undefined {
  if (asked === undefined || asked === realm) return undefined
  if (principal.kind === 'api-key' && !principal.key.grant?.realms?.includes(asked))
    throw forbidden(`this API key may not ask for the realm "${asked}"`)
  if (!realms.includes(asked)) throw badRequest(`realm: ${key} has no realm "${asked}"`)
  return asked
}

function tenantOf(asked: Asked, bound: KeyGrant | undefined): string | undefined {
  if (bound?.tenant === undefined) return asked.tenant
  if (asked.tenant === undefined || asked.tenant === bound.tenant) return bound.tenant
  throw forbidden('this API key is for another tenant')
}

/** A policy may open what is closed to others, so that an API key has to name it. */
function policyOf(
  principal: Principal,
  { peers }: Asked,
  { key, peerPolicies }: Pick<PublishedCluster, 'key' | 'peerPolicies'>,
): string | undefined {
  const permitted = principal.kind === 'api-key' ? (principal.key.grant?.peers?.policies ?? []) : undefined
  const name = peers?.policy ?? permitted?.[0]
  if (name === undefined) return undefined
  if (permitted && !permitted.includes(name))
    throw forbidden(`this API key may not ask for the peer policy "${name}"`)
  if (!peerPolicies.includes(name)) throw badRequest(`peers.policy: ${key} has no peer policy "${name}"`)
  return name
}

function networksOf({ peers }: Asked, bound: KeyGrant | undefined): string[] | undefined {
  const fixed = bound?.peers?.networks
  if (fixed && peers?.networks)
    throw forbidden('the networks of this API key are fixed: leave out peers.networks')
  return fixed ?? peers?.networks
}

function lower(asked: number | undefined, bound: number | undefined): number | undefined {
  if (asked === undefined || bound === undefined) return asked ?? bound
  return Math.min(asked, bound)
}

function withoutUndefined<T extends object>(record: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(record).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
