import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { Authentication } from './authentication.ts'

const PAGE = new URL('../console/page/', import.meta.url)

/** The console's files by path: exactly these are served. */
const FILES: Record<string, { file: string; type: string }> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/console/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
  '/console/main.js': { file: 'main.js', type: 'text/javascript; charset=utf-8' },
  '/console/dom.js': { file: 'dom.js', type: 'text/javascript; charset=utf-8' },
  '/console/fleet-view.js': { file: 'fleet-view.js', type: 'text/javascript; charset=utf-8' },
  '/console/check-view.js': { file: 'check-view.js', type: 'text/javascript; charset=utf-8' },
  '/console/relay-check.js': { file: 'relay-check.js', type: 'text/javascript; charset=utf-8' },
}

const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'cache-control': 'no-cache',
}

/** `GET /` and what that page loads. */
export function consoleRoutes(app: FastifyInstance, authentication: Authentication): void {
  for (const [path, { file, type }] of Object.entries(FILES)) {
    app.get(path, async (request, reply) => {
      await authentication.requirePath(request.principal, '/')
      return reply
        .headers(PAGE_HEADERS)
        .type(type)
        .send(await readFile(new URL(file, PAGE)))
    })
  }
}
