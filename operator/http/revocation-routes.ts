import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { REVOCATIONS_MAX, type RevocationList, revocation } from '../../relay/api/revocations.ts'
import { parseDuration } from '../api/durations.ts'
import type { ClusterKey, Fleet } from '../controller/contract.ts'
import { current, withoutRevocation, withRevocation } from '../fleet/revocations.ts'
import type { Authentication } from './authentication.ts'
import { badRequest, forbidden, HttpError, notFound } from './http-error.ts'
import { parseWith } from './validation.ts'

/** Where the revocations of a cluster outlive the operator. */
export interface RevocationStore {
  /** Changes the list and keeps it; `change` is asked again where somebody else changed it meanwhile. */
  update(key: ClusterKey, change: (list: RevocationList) => RevocationList): Promise<RevocationList>
}

export interface RevocationRouteOptions {
  fleet: Fleet
  store: RevocationStore
  authentication: Authentication
  nowMs: () => number
}

interface Params {
  namespace: string
  name: string
}

/** An entry that never ended would be kept by every relay for ever. */
const LONGEST_SECONDS = 366 * 24 * 3600
const PATH = '/v1/clusters/:namespace/:name/revocations'

const revocationRequest = z.strictObject({
  user: z.string().optional(),
  tenant: z.string().optional(),
  keyId: z.string().optional(),
  /** When it ends, or after how long; absent: when a credential issued now ends. */
  until: z.string().optional(),
  for: z.string().optional(),
})

/** Whose credentials a fleet refuses, and whose calls it ends: read, added to, taken from. */
export function revocationRoutes(app: FastifyInstance, options: RevocationRouteOptions): void {
  const { fleet, store, nowMs } = options

  app.get<{ Params: Params }>(PATH, async (request, reply) => {
    const key = await permittedKey(options, request, 'get')
    reply.header('cache-control', 'no-store')
    return view(fleet, key, nowMs())
  })

  app.post<{ Params: Params }>(PATH, async (request, reply) => {
    const key = await permittedKey(options, request, 'create')
    let wanted = readRevocation(request.body, fleet.published(key)?.ttlSeconds ?? 0, nowMs())
    const list = await store.update(key, (old) => {
      const change = withRevocation(old, wanted, nowMs())
      if (!change) {
        const message = `there are ${REVOCATIONS_MAX} revocations already: revoke a tenant or a key instead, or rotate the keys`
        throw new HttpError(409, 'full', message)
      }
      wanted = change.revocation
      return change.list
    })
    fleet.setRevocations(key, list)
    return reply.code(201).send({ revocation: wanted, ...view(fleet, key, nowMs()) })
  })

  app.delete<{ Params: Params & { id: string } }>(`${PATH}/:id`, async (request) => {
    const key = await permittedKey(options, request, 'delete')
    const { id } = request.params
    const list = await store.update(key, (old) => {
      const change = withoutRevocation(old, id, nowMs())
      if (!change) throw notFound(`there is no revocation ${id.slice(0, 64)}`)
      return change
    })
    fleet.setRevocations(key, list)
    return view(fleet, key, nowMs())
  })
}

async function permittedKey(
  { fleet, authentication }: RevocationRouteOptions,
  { principal, params }: Pick<FastifyRequest<{ Params: Params }>, 'principal' | 'params'>,
  verb: 'get' | 'create' | 'delete',
): Promise<ClusterKey> {
  const key = `${params.namespace}/${params.name}`
  if (!(await authentication.mayRevoke(principal, verb, key))) {
    throw forbidden(
      `this caller may not do that: a token needs the verb ${verb} on turnclusters/revocations, an API key "revoke: true"`,
    )
  }
  if (!fleet.published(key)) throw notFound(`there is no TurnCluster ${key}`)
  return key
}

function readRevocation(body: unknown, ttlSeconds: number, nowMs: number) {
  const { until, for: length, ...whom } = parseWith(revocationRequest, body ?? {}, 'body')
  if (until !== undefined && length !== undefined) throw badRequest('body: give until or for, not both')
  const seconds = length === undefined ? ttlSeconds : parseDuration(length)
  if (seconds === undefined) throw badRequest('body.for: write it like 90s, 10m or 12h')
  const wanted = { id: randomUUID(), ...whom, until: until ?? new Date(nowMs + seconds * 1000).toISOString() }
  const read = parseWith(revocation, wanted, 'body')
  const endMs = Date.parse(read.until)
  if (endMs <= nowMs) throw badRequest('body.until: has passed already')
  if (endMs > nowMs + LONGEST_SECONDS * 1000) throw badRequest('body.until: at most 366 days from now')
  return read
}

/** What is in force, and how many of the relays that report have it. */
function view(fleet: Fleet, key: ClusterKey, nowMs: number) {
  const list = fleet.revocations(key)
  const relays = [...fleet.loads(key).values()]
  const acknowledged = relays.filter(({ report }) => list && (report.revocations ?? 0) >= list.generation)
  return {
    generation: list?.generation ?? 0,
    revocations: list ? current(list, nowMs) : [],
    relays: { reporting: relays.length, acknowledged: acknowledged.length },
  }
}
