import type { FastifyInstance } from 'fastify'
import type { ClusterKey, Fleet } from '../controller/contract.ts'
import type { Authentication } from './authentication.ts'
import { type ClusterExtras, viewCluster } from './cluster-view.ts'
import { forbidden, notFound } from './http-error.ts'

/** `GET /v1/clusters` and `/v1/clusters/{namespace}/{name}`: live state of what the caller may see. */
export function clusterRoutes(
  app: FastifyInstance,
  options: {
    fleet: Fleet
    authentication: Authentication
    extrasOf: (key: ClusterKey) => ClusterExtras
    nowMs: () => number
  },
): void {
  const { fleet, authentication, extrasOf, nowMs } = options
  const view = (key: ClusterKey) => viewCluster(fleet, key, nowMs(), extrasOf(key))

  app.get('/v1/clusters', async (request, reply) => {
    const keys = await authentication.permitted(request.principal, 'get', fleet.publishedKeys().sort())
    reply.header('cache-control', 'no-store')
    return { clusters: keys.map(view).filter((cluster) => cluster !== undefined) }
  })

  app.get<{ Params: { namespace: string; name: string } }>(
    '/v1/clusters/:namespace/:name',
    async (request, reply) => {
      const key = `${request.params.namespace}/${request.params.name}`
      const [permitted] = await authentication.permitted(request.principal, 'get', [key])
      if (permitted === undefined) throw forbidden('this caller may not see that TurnCluster')
      const cluster = view(key)
      if (!cluster) throw notFound(`there is no TurnCluster ${key}`)
      reply.header('cache-control', 'no-store')
      return cluster
    },
  )
}
