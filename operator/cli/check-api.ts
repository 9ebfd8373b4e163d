import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { z } from 'zod'
import { printable } from '../fleet/probe-advice.ts'
import type { ProbeTls } from '../fleet/probe-connection.ts'

/** One URL and the credential for it. */
export interface CheckTarget {
  readonly url: string
  readonly username: string
  readonly credential: string
}

export interface IceQuestion {
  /** Where turnfleet serves HTTP; `/v1/ice` is added. */
  readonly api: string
  /** Empty: none is sent. */
  readonly apiKey: string
  readonly cluster: string | undefined
  readonly tls: ProbeTls
}

const TIMEOUT_MS = 10_000
const ANSWER_BYTES_MAX = 1 << 20

const answer = z.object({
  iceServers: z.array(
    z.object({
      urls: z.union([z.string(), z.array(z.string())]),
      username: z.string().optional(),
      credential: z.string().optional(),
    }),
  ),
})

/** Asks `POST /v1/ice` for the TURN URLs that clients are given now; throws with what to do. */
export async function askIceServers(question: IceQuestion): Promise<CheckTarget[]> {
  const url = iceUrl(question.api)
  const { status, body } = await post(url, question).catch((error: Error & { code?: string }) => {
    throw new Error(`${url.origin} cannot be reached (${error.code ?? error.message}): check --api`)
  })
  if (status !== 200) throw new Error(`${url} answered ${status}: ${messageOf(body)}`)
  const parsed = answer.safeParse(json(body))
  if (!parsed.success) throw new Error(`${url} does not answer as turnfleet does: check --api`)
  const targets = parsed.data.iceServers.flatMap(({ urls, username = '', credential = '' }) =>
    [urls].flat().map((turn) => ({ url: turn, username, credential })),
  )
  const turn = targets.filter((target) => /^turns?:/i.test(target.url))
  if (turn.length === 0) throw new Error(`${url} gave no TURN URL: no relay listens for clients`)
  return turn
}

function iceUrl(api: string): URL {
  const base = URL.parse(api)
  if (base === null || !/^https?:$/.test(base.protocol)) {
    throw new Error(`"${api}" is not an HTTP URL; write --api like http://127.0.0.1:8080`)
  }
  base.pathname = `${base.pathname.replace(/\/(v1\/ice)?\/?$/, '')}/v1/ice`
  return base
}

function post(url: URL, { apiKey, cluster, tls }: IceQuestion): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const options = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
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
  request.end(JSON.stringify(cluster === undefined ? {} : { cluster }))
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
