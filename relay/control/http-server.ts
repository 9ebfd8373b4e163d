import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { EventStreams } from './event-stream.ts'
import type { Metrics } from './metrics.ts'
import { http } from './node-http.ts'
import { loadReportOf, type RelayStatus, unready } from './status.ts'

/** Probes, Prometheus and a person: more connections than this are none of them. */
const CONNECTIONS_MAX = 64
const REQUEST_TIMEOUT_MS = 10_000

/** `/livez`, `/readyz`, `/metrics`, `/load` and `/events` of one relay. */
export class ControlServer {
  readonly #server: Server
  readonly #status: () => RelayStatus
  readonly #metrics: Metrics
  readonly #events: EventStreams
  readonly #count: () => Promise<void>

  /** `count` brings the counters of `status` up to date. */
  constructor(status: () => RelayStatus, metrics: Metrics, events: EventStreams, count: () => Promise<void>) {
    this.#events = events
    this.#status = status
    this.#count = count
    this.#metrics = metrics
    this.#server = http.createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void this.#answer(request, response)
    })
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  /** Rejects with an Error that names the address. */
  listen(address: string, port: number): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const why =
          error.code === 'EADDRINUSE' ? 'the port is taken; set another control.port' : error.message
        reject(new Error(`cannot listen on control address ${address}:${port}: ${why}`))
      })
      this.#server.listen({ host: address, port }, () => resolve(this.#server.address() as AddressInfo))
    })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n')
    const [path] = (request.url ?? '').split('?')
    switch (path) {
      case '/livez':
        return send(response, 200, 'ok\n')
      case '/readyz': {
        const reasons = unready(this.#status())
        return reasons.length > 0
          ? send(response, 503, `${reasons.join('\n')}\n`)
          : send(response, 200, 'ok\n')
      }
      case '/load':
        await this.#count()
        return send(response, 200, `${JSON.stringify(loadReportOf(this.#status(), 0))}\n`, 'application/json')
      case '/metrics':
        await this.#count()
        return send(response, 200, await this.#metrics.render(), this.#metrics.contentType)
      case '/events':
        if (request.method === 'HEAD') return send(response, 405, 'only GET\n')
        if (!this.#events.open(response)) send(response, 503, 'there are enough readers already\n')
        return
      default:
        return send(response, 404, 'there are /livez, /readyz, /metrics, /load and /events\n')
    }
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
