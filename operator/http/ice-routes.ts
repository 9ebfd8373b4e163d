import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { concerns, type RevocationList, type RevocationSubject } from '../../relay/api/revocations.ts'
import type { Fleet, PublishedCluster } from '../controller/contract.ts'
import type { CredentialGrant, IceServer } from '../credentials/issue.ts'
import type { Authentication, Principal } from './authentication.ts'
import { badRequest, forbidden, HttpError, notFound, unavailable } from './http-error.ts'
import { askedGrant, grantFor, realmFor } from './ice-grant.ts'
import type { OperatorMetrics } from './metrics.ts'
import { parseWith } from './validation.ts'

/** Chooses relays and makes credentials; undefined: no relay is ready. */
export type IceIssuer = (
  cluster: PublishedCluster,
  client: { user: string; zone?: string; grant?: CredentialGrant; realm?: string },
  nowMs: number,
) => { iceServers: IceServer[]; ttlSeconds: number; expiresAtMs: number } | undefined

export interface IceRouteOptions {
  fleet: Fleet
  issue: IceIssuer
  authentication: Authentication
  metrics: OperatorMetrics
  nowMs: () => number
}

const RETRY_AFTER_SECONDS = 5
/** A REST username is at most 508 bytes (RFC 8489 §14.3), of which the expiry takes a few. */
const user = z
  .string()
  .max(128)
  .regex(/^[\p{L}\p{N}\p{P}\p{S} ]*$/u, 'must be printable characters')
const clusterKey = z.string().max(317)
const zone = z.string().max(63)

const iceRequest = z.strictObject({
  cluster: clusterKey.optional(),
  user: user.optional(),
  zone: zone.optional(),
  realm: z.string().max(127).optional(),
  ...askedGrant,
})

const restQuery = z.object({
  service: z.literal('turn', { error: 'must be "turn"' }),
  username: user.optional(),
  key: z.string().max(256).optional(),
  cluster: clusterKey.optional(),
  zone: zone.optional(),
})

/** `POST /v1/ice`, and `GET` in the form of draft-uberti-behave-turn-rest-00 §2. */
export function iceRoutes(app: FastifyInstance, options: IceRouteOptions): void {
  app.post('/v1/ice', { config: { authentication: 'in-route' } }, async (request, reply) => {
    const principal = await options.authentication.principal(request)
    const asked = parseWith(iceRequest, request.body ?? {}, 'body')
    const { cluster, answer } = await answerIce(options, principal, asked)
    reply.header('cache-control', 'no-store')
    return {
      iceServers: answer.iceServers,
      ttl: answer.ttlSeconds,
      expiresAt: new Date(answer.expiresAtMs).toISOString(),
      cluster: cluster.key,
    }
  })

  app.get('/v1/ice', { config: { authentication: 'in-route' } }, async (request, reply) => {
    const principal = await options.authentication.principal(request, queryKey(request))
    const { username, cluster, zone } = parseWith(restQuery, request.query, 'query')
    const asked = {
      ...(username === undefined ? {} : { user: username }),
      ...(cluster === undefined ? {} : { cluster }),
      ...(zone === undefined ? {} : { zone }),
    }
    const { answer } = await answerIce(options, principal, asked)
    const [first] = answer.iceServers
    reply.header('cache-control', 'no-store')
    return {
      username: first?.username,
      password: first?.credential,
      ttl: answer.ttlSeconds,
      uris: answer.iceServers.flatMap(({ urls }) => urls),
    }
  })
}

async function answerIce(
  { fleet, issue, authentication, metrics, nowMs }: IceRouteOptions,
  principal: Principal,
  asked: z.infer<typeof iceRequest>,
) {
  const key = await chooseCluster(fleet, authentication, principal, asked.cluster)
  const cluster = fleet.published(key)
  if (!cluster) throw notFound(`TurnCluster ${key} is not known yet`)
  const grant = grantFor(principal, asked, cluster)
  if (grant && !asked.user)
    throw badRequest('user: must be named, since the credential carries limits for it')
  const realm = realmFor(principal, asked.realm, cluster)
  const client = {
    user: asked.user ?? '',
    ...(asked.zone === undefined ? {} : { zone: asked.zone }),
    ...(grant && { grant }),
    ...(realm === undefined ? {} : { realm }),
  }
  refuseRevoked(fleet.revocations(key), { user: client.user, tenant: grant?.tenant }, nowMs())
  const answer = fitting(() => issue(cluster, client, nowMs()))
  metrics.iceAnswered(key, answer ? 'issued' : 'unavailable')
  if (answer) return { cluster, answer }
  const message = `no relay of ${key} is ready: try again in ${RETRY_AFTER_SECONDS} s, or see the conditions of the TurnCluster`
  throw unavailable('no_relay_ready', message, RETRY_AFTER_SECONDS)
}

/** A credential that no relay takes would leave the page without a word of why. */
function refuseRevoked(
  list: RevocationList | undefined,
  subject: Pick<RevocationSubject, 'user' | 'tenant'>,
  nowMs: number,
): void {
  const entry = list?.entries.find(
    (one) =>
      (one.user ?? one.tenant) !== undefined && concerns(one, subject) && Date.parse(one.until) > nowMs,
  )
  if (entry) throw new HttpError(403, 'revoked', `this user or tenant is revoked until ${entry.until}`)
}

/** Names in a signed credential may be longer together than a username can be. */
function fitting<T>(issue: () => T): T {
  try {
    return issue()
  } catch (error) {
    throw error instanceof RangeError ? badRequest(error.message) : error
  }
}

async function chooseCluster(
  fleet: Fleet,
  authentication: Authentication,
  principal: Principal,
  asked: string | undefined,
): Promise<string> {
  if (asked !== undefined) {
    const [permitted] = await authentication.permitted(principal, 'create', [asked])
    if (permitted === undefined) throw forbidden('this caller may not have credentials of that TurnCluster')
    if (!fleet.published(asked))
      throw notFound(`there is no TurnCluster ${asked}: "cluster" is namespace/name`)
    return asked
  }
  const permitted = await authentication.permitted(principal, 'create', fleet.publishedKeys())
  const [only] = permitted
  if (permitted.length > 1)
    throw badRequest('several TurnClusters are possible: name one as "cluster": "namespace/name"')
  if (only !== undefined) return only
  if (principal.kind === 'loopback') {
    throw unavailable('no_cluster', 'no TurnCluster is known yet: try again in a moment', RETRY_AFTER_SECONDS)
  }
  throw new HttpError(
    403,
    'forbidden',
    'this caller may not have credentials of any TurnCluster that is known',
  )
}

/** The draft puts the key into the query; Authorization wins where both are given. */
function queryKey(request: FastifyRequest): string | undefined {
  if (request.headers.authorization !== undefined) return undefined
  const { key } = request.query as Record<string, unknown>
  return typeof key === 'string' && key.length <= 256 ? key : undefined
}
