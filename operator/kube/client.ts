import { type IncomingMessage, request as plainRequest } from 'node:http'
import { Agent, type RequestOptions, request } from 'node:https'
import { createInterface } from 'node:readline'
import type { Connection } from './credentials.ts'

const REQUEST_TIMEOUT_MS = 15_000
const RESPONSE_BYTES_MAX = 64 * 1024 * 1024
const SOCKETS_MAX = 32
const KEEP_ALIVE_MS = 30_000
const USER_AGENT = 'turnfleet'

export type Verb = 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT'
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface KubeRequest {
  method: Verb
  path: string
  query?: Query
  body?: unknown
  contentType?: string
  timeoutMs?: number
}

/** An answer other than 2xx, with what its Status object says. */
export class KubeError extends Error {
  override name = 'KubeError'
  readonly status: number
  /** Kubernetes' word for it: NotFound, AlreadyExists, Conflict, Invalid, Expired, … */
  readonly reason: string
  readonly retryAfterSeconds: number | undefined

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(message)
    this.status = status
    this.reason = reason
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof KubeError && statuses.includes(error.status)
}

export interface ClientHooks {
  /** Called before each write; throws to forbid it. Its answer, where given, bounds how long the write may take. */
  beforeWrite?: (request: KubeRequest) => number | undefined
  /** Called after each answer; 0 stands for no answer. */
  onAnswer?: (method: Verb, path: string, status: number) => void
}

/** Speaks JSON with the API server over kept-alive connections. */
export class KubeClient {
  readonly connection: Connection
  readonly #hooks: ClientHooks
  readonly #agent = new Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS, maxFreeSockets: SOCKETS_MAX })

  constructor(connection: Connection, hooks: ClientHooks = {}) {
    this.connection = connection
    this.#hooks = hooks
  }

  /** The object of the answer; throws a KubeError for a refusal and a plain Error where there is no answer. */
  async request<T>(wanted: KubeRequest): Promise<T> {
    const limitMs = isWrite(wanted) ? this.#hooks.beforeWrite?.(wanted) : undefined
    const timeoutMs = Math.floor(
      Math.min(wanted.timeoutMs ?? REQUEST_TIMEOUT_MS, limitMs ?? REQUEST_TIMEOUT_MS),
    )
    const signal = AbortSignal.timeout(timeoutMs)
    let status = 0
    try {
      const response = await this.#send(wanted, signal)
      status = response.statusCode ?? 0
      const text = await readAll(response)
      if (status >= 300 || status < 200) throw refusal(status, text, response.headers['retry-after'])
      return JSON.parse(text) as T
    } catch (error) {
      if (signal.aborted) throw new Error(`${wanted.method} ${wanted.path}: no answer within ${timeoutMs} ms`)
      throw error
    } finally {
      this.#hooks.onAnswer?.(wanted.method, wanted.path, status)
    }
  }

  get<T>(path: string, query?: Query): Promise<T> {
    return this.request<T>({ method: 'GET', path, ...(query ? { query } : {}) })
  }

  /** Undefined where there is no such object. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path)
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  /**
   * Reads a stream of JSON lines until it ends or `signal` aborts. `idleMs` without a byte ends it as well, with
   * an error: a quiet watch still brings bookmarks.
   */
  async stream(
    path: string,
    query: Query,
    idleMs: number,
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const idle = new AbortController()
    const either = AbortSignal.any([signal, idle.signal])
    const giveUp = (): void => idle.abort()
    let timer = setTimeout(giveUp, idleMs)
    try {
      const response = await this.#send({ method: 'GET', path, query }, either)
      const status = response.statusCode ?? 0
      this.#hooks.onAnswer?.('GET', path, status)
      if (status !== 200) throw refusal(status, await readAll(response), response.headers['retry-after'])
      response.on('data', () => {
        clearTimeout(timer)
        timer = setTimeout(giveUp, idleMs)
      })
      for await (const line of createInterface({ input: response, signal: either })) if (line) onLine(line)
      if (response.errored && !either.aborted) throw response.errored
    } catch (error) {
      if (!either.aborted) throw error
    } finally {
      clearTimeout(timer)
    }
    if (idle.signal.aborted) throw new Error(`watch of ${path}: not a byte within ${idleMs} ms`)
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(
    { method, path, query, body, contentType }: KubeRequest,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { headers, tls, agent } = await this.connection.options()
    const url = new URL(this.connection.server + path)
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value))
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const options: RequestOptions = {
      method,
      signal,
      ...(url.protocol === 'https:' ? { agent: agent ?? this.#agent } : {}),
      ...tls,
      headers: {
        Accept: 'application/json',
        'User-Agent': USER_AGENT,
        ...(payload === undefined
          ? {}
          : {
              'Content-Type': contentType ?? 'application/json',
              'Content-Length': Buffer.byteLength(payload),
            }),
        ...headers,
      },
    }
    return new Promise((resolve, reject) => {
      const outgoing = (url.protocol === 'https:' ? request : plainRequest)(url, options, resolve)
      outgoing.on('error', reject)
      outgoing.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS))
      outgoing.end(payload)
    })
  }
}

function isWrite({ method }: KubeRequest): boolean {
  return method !== 'GET'
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response) {
    length += (chunk as Buffer).length
    if (length > RESPONSE_BYTES_MAX) throw new Error(`an answer of more than ${RESPONSE_BYTES_MAX} bytes`)
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

function refusal(status: number, text: string, retryAfter: string | undefined): KubeError {
  let said: { reason?: string; message?: string } = {}
  try {
    said = JSON.parse(text) as typeof said
  } catch {
    said = { message: text.trim().slice(0, 500) }
  }
  const seconds = Number(retryAfter)
  const message = said.message || `the API server answered ${status}`
  return new KubeError(status, said.reason ?? '', message, Number.isFinite(seconds) ? seconds : undefined)
}
