import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { z } from 'zod'
import { printable } from '../fleet/probe-advice.ts'
import type { ProbeTls } from '../fleet/probe-connection.ts'

/** How a command reaches turnfleet's HTTP. */
export interface ApiAccess {
  /** Where it is served. */
  readonly api: string
  /** An API key or a Kubernetes token; empty: none is sent. */
  readonly apiKey: string
  readonly tls: ProbeTls
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object
}

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 1 << 20

/** The JSON of a successful answer; throws with what to do. */
export async function askApi(access: ApiAccess, { method, path, body }: ApiRequest): Promise<unknown> {
  const url = apiUrl(access.api, path)
  const answer = await send(url, access, method, body).catch((error: Error & { code?: string }) => {
    throw new Error(`${url.origin} cannot be reached (${error.code ?? error.message}): check --api`)
  })
  if (answer.status >= 200 && answer.status < 300) return json(answer.body)
  throw new Error(`${url} answered ${answer.status}: ${messageOf(answer.body)}`)
}

/** The URL of a path; whoever gives that of `/v1/ice` means its root. */
function apiUrl(api: string, path: string): URL {
  const base = URL.parse(api)
  if (base === null || !/^https?:$/.test(base.protocol)) {
    throw new Error(`"${api}" is not an HTTP URL; write --api like http://127.0.0.1:8080`)
  }
  base.pathname = `${base.pathname.replace(/\/(v1\/ice)?\/?$/, '')}${path}`
  return base
}

function send(
  url: URL,
  { apiKey, tls }: ApiAccess,
  method: ApiRequest['method'],
  body: object | undefined,
): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const options = {
    method,
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }),
    },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    rejectUnauthorized: tls.insecure !== true,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  }
  const request = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options)
  request.once('error', reject)
  request.once('response', (response) => {
    const chunks: Buffer[] = []
    let bytes = 0
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) request.destroy(new Error('the answer is too long'))
      else chunks.push(chunk)
    })
    response.once('error', reject)
    response.once('end', () =>
      resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
    )
  })
  request.end(body && JSON.stringify(body))
  return promise
}

function json(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The sentence of an error answer, or the start of its body. */
function messageOf(body: string): string {
  const parsed = z.object({ error: z.object({ message: z.string() }) }).safeParse(json(body))
  return printable(parsed.success ? parsed.data.error.message : body)
}
