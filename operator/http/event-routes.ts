import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { ClusterKey, Fleet, FleetEvent } from '../controller/contract.ts'
import type { Authentication } from './authentication.ts'
import { forbidden, notFound, unavailable } from './http-error.ts'

/** Readers of this process at the same time. */
const READERS_MAX = 32
/** What may wait for a reader; beyond it events are left out and counted. */
const WAITING_BYTES_MAX = 1_048_576
/** A reader that takes nothing for so long is closed. */
const STUCK_MS = 30_000
/** A comment now and then lets both ends, and what is between them, notice that the other one is there. */
const HEARTBEAT_MS = 10_000

/** `GET /v1/clusters/{namespace}/{name}/events`: allocation events of every relay as they are reported, by server-sent events. */
export function eventRoutes(
  app: FastifyInstance,
  options: { fleet: Fleet; authentication: Authentication },
): void {
  const { fleet, authentication } = options
  let readers = 0
  app.get<{ Params: { namespace: string; name: string } }>(
    '/v1/clusters/:namespace/:name/events',
    async (request, reply) => {
      const key = `${request.params.namespace}/${request.params.name}`
      const [permitted] = await authentication.permitted(request.principal, 'get', [key])
      if (permitted === undefined) throw forbidden('this caller may not see that TurnCluster')
      if (!fleet.published(key)) throw notFound(`there is no TurnCluster ${key}`)
      if (readers >= READERS_MAX)
        throw unavailable('busy', `${READERS_MAX} callers read events already: try again later`, 30)
      readers++
      reply.hijack()
      reply.raw.once('close', () => readers--)
      stream(fleet, key, reply.raw)
    },
  )
}

function stream(fleet: Fleet, key: ClusterKey, response: ServerResponse): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
  })
  response.flushHeaders()
  let dropped = 0
  let stuckSinceMs: number | undefined
  const write = (text: string): boolean => {
    if (response.writableLength > WAITING_BYTES_MAX) return false
    if (dropped > 0) response.write(message({ kind: 'gap', dropped }))
    dropped = 0
    response.write(text)
    return true
  }
  const stop = fleet.readEvents(key, (event) => {
    if (!write(message(event))) dropped += event.kind === 'gap' ? event.dropped : 1
  })
  const heartbeat = setInterval(() => {
    if (write(':\n\n')) stuckSinceMs = undefined
    else stuckSinceMs ??= performance.now()
    if (stuckSinceMs !== undefined && performance.now() - stuckSinceMs >= STUCK_MS) response.destroy()
  }, HEARTBEAT_MS)
  response.once('close', () => {
    clearInterval(heartbeat)
    stop()
  })
}

/** JSON has no line break, so that the text of a client cannot begin a field of its own. */
function message(event: FleetEvent): string {
  return `event: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`
}
