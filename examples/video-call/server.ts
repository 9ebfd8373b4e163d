import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { WebSocketServer } from 'ws'
import { fetchIceServers } from './ice-servers.ts'
import { Rooms } from './rooms.ts'

const MESSAGE_BYTES_MAX = 64 * 1024
const SOCKETS_MAX = 4_000
const HEARTBEAT_MS = 30_000

const env = process.env
const turnfleet = {
  url: env.TURNFLEET_URL ?? 'http://127.0.0.1:8080',
  apiKey: env.TURNFLEET_API_KEY,
  cluster: env.TURNFLEET_CLUSTER,
}

const page = new Map<string, { type: string; body: Buffer }>(
  await Promise.all(
    [
      ['/', 'index.html', 'text/html; charset=utf-8'] as const,
      ['/app.js', 'app.js', 'text/javascript; charset=utf-8'] as const,
      ['/call.js', 'call.js', 'text/javascript; charset=utf-8'] as const,
      ['/style.css', 'style.css', 'text/css; charset=utf-8'] as const,
    ].map(
      async ([path, file, type]) =>
        [path, { type, body: await readFile(new URL(`page/${file}`, import.meta.url)) }] as const,
    ),
  ),
)

const servePage: RequestListener = (request, response) => {
  const file = page.get(new URL(request.url ?? '/', 'http://page').pathname)
  if (!file || request.method !== 'GET') {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n')
    return
  }
  response.writeHead(200, {
    'content-type': file.type,
    'cache-control': 'no-cache',
    'content-security-policy':
      "default-src 'self'; img-src data:; connect-src 'self'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  response.end(file.body)
}

// Browsers give a camera only to https and localhost: serve TLS here, or put a proxy that does in front.
const server =
  env.TLS_CERT_FILE && env.TLS_KEY_FILE
    ? createTlsServer(
        { cert: await readFile(env.TLS_CERT_FILE), key: await readFile(env.TLS_KEY_FILE) },
        servePage,
      )
    : createServer(servePage)

const rooms = new Rooms((user) => fetchIceServers(turnfleet, user))
const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX })

server.on('upgrade', (request, socket, head) => {
  if (request.url !== '/signalling' || !sameOrigin(request) || sockets.clients.size >= SOCKETS_MAX) {
    socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n')
    return
  }
  sockets.handleUpgrade(request, socket, head, (webSocket) => rooms.accept(webSocket))
})

/** A WebSocket is not bound by the same-origin policy: another site's page could use a visitor's session. */
function sameOrigin(request: IncomingMessage): boolean {
  const origin = request.headers.origin
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === request.headers.host
}

/** Sockets that have not answered the last ping. */
const silent = new WeakSet<object>()
setInterval(() => {
  for (const socket of sockets.clients) {
    if (silent.has(socket)) socket.terminate()
    silent.add(socket)
    socket.once('pong', () => silent.delete(socket))
    socket.ping()
  }
}, HEARTBEAT_MS).unref()

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
  })
}

server.listen(Number(env.PORT ?? 8081), env.HOST ?? '127.0.0.1', () => {
  const address = server.address()
  const at = typeof address === 'object' && address ? `${address.address}:${address.port}` : address
  console.log(`video call at ${env.TLS_CERT_FILE ? 'https' : 'http'}://${at}, relays from ${turnfleet.url}`)
})
