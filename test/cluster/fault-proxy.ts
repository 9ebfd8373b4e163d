import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Connection } from '../../operator/kube/credentials.ts'

/** What to do to a request: let it pass, refuse it, cut it before, or cut its answer off. */
export type Fault =
  | { status: number; reason: string; retryAfterSeconds?: number }
  | 'cut'
  | 'lose-answer'
  | undefined

export interface SeenRequest {
  method: string
  path: string
  /** Changes the world: not a question, and no Event. */
  isWrite: boolean
}

const NO_WRITES = /\/(tokenreviews|subjectaccessreviews|events)(\?|$)/

/** Stands between an operator and the API server, speaks with its rights, and misbehaves when told to. */
export class FaultProxy {
  /** Decides about each request. */
  fault: (request: SeenRequest) => Fault = () => undefined
  readonly seen: SeenRequest[] = []
  readonly #connection: Connection
  readonly #server: Server
  readonly #streams = new Set<ServerResponse>()

  constructor(connection: Connection) {
    this.#connection = connection
    this.#server = createServer((incoming, response) => {
      this.#handle(incoming, response).catch(() => response.destroy())
    })
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** How an operator reaches the API server through it. */
  connection(): Connection {
    const { port } = this.#server.address() as AddressInfo
    const { namespace } = this.#connection
    return { server: `http://127.0.0.1:${port}`, namespace, options: async () => ({ headers: {}, tls: {} }) }
  }

  writes(): string[] {
    return this.seen.filter(({ isWrite }) => isWrite).map(({ method, path }) => `${method} ${path}`)
  }

  /** Cuts every watch that is under way. */
  cutWatches(): void {
    for (const stream of this.#streams) stream.destroy()
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url: path = '/' } = incoming
    const seen = { method, path, isWrite: method !== 'GET' && !NO_WRITES.test(path) }
    this.seen.push(seen)
    const fault = this.fault(seen)
    if (fault === 'cut') return void incoming.socket.destroy()
    if (fault && fault !== 'lose-answer') return refuse(response, fault)
    if (path.includes('watch=true')) {
      this.#streams.add(response)
      response.on('close', () => this.#streams.delete(response))
    }
    await this.#forward(incoming, response, fault === 'lose-answer')
  }

  async #forward(incoming: IncomingMessage, response: ServerResponse, loseAnswer: boolean): Promise<void> {
    const { headers, tls } = await this.#connection.options()
    const { host: _, connection: __, ...passed } = incoming.headers
    const outgoing = request(this.#connection.server + incoming.url, {
      method: incoming.method,
      headers: { ...passed, ...headers },
      agent: false,
      ...tls,
    })
    outgoing.on('error', () => response.destroy())
    response.on('close', () => outgoing.destroy())
    outgoing.on('response', (answer) => {
      if (loseAnswer) return void answer.resume().on('end', () => response.destroy())
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      response.flushHeaders()
      answer.pipe(response)
      answer.on('error', () => response.destroy())
    })
    incoming.pipe(outgoing)
  }
}

function refuse(
  response: ServerResponse,
  { status, reason, retryAfterSeconds }: Exclude<Fault, string | undefined>,
): void {
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  response
    .writeHead(status, headers)
    .end(JSON.stringify({ kind: 'Status', code: status, reason, message: reason }))
}
