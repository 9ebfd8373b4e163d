import http from 'node:http'
import https from 'node:https'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Registry } from 'prom-client'
import type { ClusterKey, Fleet } from '../controller/contract.ts'
import type { ApiKey } from './api-keys.ts'
import { Authentication, type Principal } from './authentication.ts'
import { clusterRoutes } from './cluster-routes.ts'
import type { ClusterExtras } from './cluster-view.ts'
import { consoleRoutes } from './console-routes.ts'
import { allowPage, answerPreflight } from './cross-origin.ts'
import { eventRoutes } from './event-routes.ts'
import { HttpError, notFound } from './http-error.ts'
import { type IceIssuer, iceRoutes } from './ice-routes.ts'
import type { KubernetesAccess } from './kubernetes-access.ts'
import { type OperatorMetrics, operatorMetrics } from './metrics.ts'
import { type ReportTokenReviewer, reportRoute } from './report-route.ts'
import { type RevocationStore, revocationRoutes } from './revocation-routes.ts'

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal
  }
  interface FastifyContextConfig {
    /** `none`: open to all; `in-route`: the handler does it; absent: a principal is required. */
    authentication?: 'none' | 'in-route'
  }
}

export interface AppOptions {
  fleet: Fleet
  issue: IceIssuer
  reviewReportToken: ReportTokenReviewer
  revocations: RevocationStore
  apiKeys?: () => readonly ApiKey[]
  kubernetes?: KubernetesAccess
  /** Callers on this machine need no key: standalone mode. */
  trustLoopback?: boolean
  /** HTTPS; without it plain HTTP, which is for loopback. */
  certificate?: Certificate
  /** Adds to the live state of a cluster what the composition knows of it. */
  extrasOf?: (key: ClusterKey) => ClusterExtras
  /** What is missing before this process can do its work; empty: ready. */
  notReady?: () => string[]
  registry?: Registry
  nowMs?: () => number
  /** Called with what a person who runs the operator must see; the caller got an answer without details. */
  onError?: (error: unknown) => void
}

/** PEM texts. */
interface Certificate {
  cert: string
  key: string
}

export interface App {
  server: FastifyInstance
  /** Takes a renewed certificate into use without closing a connection; throws where the pair is bad. */
  setCertificate(certificate: Certificate): void
}

const BODY_LIMIT_BYTES = 16 * 1024
const CONNECTIONS_MAX = 2000
const SERVER_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 20_000,
  maxHeaderSize: 16_384,
  keepAliveTimeout: 65_000,
}

/** Makes the HTTP server of the operator; the caller lets it listen. */
export function createApp(options: AppOptions): App {
  const nowMs = options.nowMs ?? Date.now
  const { fleet } = options
  const registry = options.registry ?? new Registry()
  const metrics = operatorMetrics(registry, fleet, nowMs)
  const authentication = new Authentication({
    apiKeys: options.apiKeys ?? (() => []),
    trustLoopback: options.trustLoopback ?? false,
    nowMs,
    ...(options.kubernetes ? { kubernetes: options.kubernetes } : {}),
  })
  const listener = createListener(options.certificate)
  const server = Fastify({
    serverFactory: (handler) => listener.on('request', handler),
    bodyLimit: BODY_LIMIT_BYTES,
    trustProxy: false,
    forceCloseConnections: true,
  })
  addHooks(server, authentication, metrics)
  addErrorAnswers(server, options.onError ?? (() => {}))
  addHealth(server, options.notReady ?? (() => []))
  iceRoutes(server, { fleet, issue: options.issue, authentication, metrics, nowMs })
  reportRoute(server, { fleet, reviewReportToken: options.reviewReportToken, nowMs })
  clusterRoutes(server, { fleet, authentication, extrasOf: options.extrasOf ?? (() => ({})), nowMs })
  eventRoutes(server, { fleet, authentication })
  revocationRoutes(server, { fleet, store: options.revocations, authentication, nowMs })
  consoleRoutes(server, authentication)
  server.get('/metrics', async (request, reply) => {
    await authentication.requirePath(request.principal, '/metrics')
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  return {
    server,
    setCertificate({ cert, key }) {
      if (listener instanceof https.Server) listener.setSecureContext({ cert, key })
    },
  }
}

function createListener(certificate: Certificate | undefined): http.Server {
  const listener = certificate
    ? https.createServer({ ...SERVER_LIMITS, ...certificate, minVersion: 'TLSv1.2' })
    : http.createServer(SERVER_LIMITS)
  listener.maxConnections = CONNECTIONS_MAX
  return listener
}

function addHooks(server: FastifyInstance, authentication: Authentication, metrics: OperatorMetrics): void {
  server.decorateRequest('principal')
  server.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
    if (answerPreflight(request, reply, authentication)) return reply
    const { authentication: rule } = request.routeOptions.config
    if (rule !== 'none' && rule !== 'in-route') request.principal = await authentication.principal(request)
    return undefined
  })
  server.addHook('onSend', async (request, reply) => allowPage(request, reply, authentication))
  server.addHook('onResponse', async (request, reply) => {
    metrics.requestEnded(request.routeOptions.url ?? 'unknown', reply.statusCode, reply.elapsedTime / 1000)
  })
}

function addErrorAnswers(server: FastifyInstance, onError: (error: unknown) => void): void {
  // An empty body with a JSON content type is what many HTTP clients send where there is nothing to say.
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)))
    } catch {
      done(new HttpError(400, 'bad_request', 'body: is not valid JSON'))
    }
  })
  server.setNotFoundHandler(async () => {
    throw notFound('there is nothing at this path')
  })
  server.setErrorHandler(async (error, _request: FastifyRequest, reply: FastifyReply) => {
    const known = asHttpError(error)
    if (!known) onError(error)
    const { status, code, message, headers } =
      known ?? new HttpError(500, 'internal', 'the operator could not answer: see its log')
    return reply.code(status).headers(headers).send({ error: { code, message } })
  })
}

/** Fastify's own refusals (body too large, unsupported media type) carry a status below 500. */
function asHttpError(error: unknown): HttpError | undefined {
  if (error instanceof HttpError) return error
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const { statusCode } = error
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) return undefined
  return new HttpError(statusCode, statusCode === 413 ? 'too_large' : 'bad_request', error.message)
}

function addHealth(server: FastifyInstance, notReady: () => string[]): void {
  const open = { config: { authentication: 'none' as const } }
  server.get('/livez', open, async () => ({ status: 'ok' }))
  server.get('/readyz', open, async (_request, reply) => {
    const missing = notReady()
    if (missing.length > 0) reply.code(503)
    return missing.length > 0 ? { status: 'not ready', missing } : { status: 'ok' }
  })
}
