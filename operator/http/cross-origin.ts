import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Authentication } from './authentication.ts'

const ICE_PATH = '/v1/ice'
const PREFLIGHT_SECONDS = '600'

/** Answers a browser's question whether a page of another origin may ask for credentials; true: answered. */
export function answerPreflight(
  request: FastifyRequest,
  reply: FastifyReply,
  authentication: Authentication,
): boolean {
  const { origin } = request.headers
  if (request.method !== 'OPTIONS' || !origin) return false
  if (pathOf(request) !== ICE_PATH || !authentication.allowsOrigin(origin, request)) return false
  reply
    .code(204)
    .headers({
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'authorization, content-type',
      'access-control-max-age': PREFLIGHT_SECONDS,
    })
    .send()
  return true
}

/** Lets a page of an allowed origin read the answer; no other page can. */
export function allowPage(
  request: FastifyRequest,
  reply: FastifyReply,
  authentication: Authentication,
): void {
  const { origin } = request.headers
  if (!origin || pathOf(request) !== ICE_PATH) return
  reply.header('vary', 'Origin')
  if (authentication.allowsOrigin(origin, request)) reply.header('access-control-allow-origin', origin)
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}
