import { readFileSync } from 'node:fs'
import type { Agent, ClientRequest, IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import type { RelayConfig } from '../api/config.ts'
import { type Directives, directives, type LoadReport } from '../api/load-report.ts'
import { http, https } from './node-http.ts'

export type OperatorConfig = NonNullable<RelayConfig['operator']>

export interface ReportClientOptions {
  /** Read before each report, as it may change; undefined: report to nobody. */
  readonly operator: () => OperatorConfig | undefined
  readonly report: () => LoadReport
  /** With the report that was answered. */
  readonly directed: (directives: Directives, report: LoadReport) => void
  /** Called when reports begin to fail, with why, and when they succeed again. */
  readonly reachable: (reachable: boolean, why?: string) => void
  readonly timeoutMs?: number
}

/** An operator that takes a connection and says nothing counts as unreachable after this. */
const TIMEOUT_MS = 5_000
/** Below the time in which an operator that has started anew waits for its relays. */
const BACKOFF_MAX_MS = 5_000
const BACKOFF_DOUBLINGS_MAX = 10
/** How often to look for an operator where the configuration names none. */
const IDLE_SECONDS = 2
/** Room for the longest list of revocations. */
const RESPONSE_BYTES_MAX = 2_097_152
/** Relays that started together must not report together. */
const JITTER = 0.2

/** Tells the operator every few seconds how the relay is, and passes on what it answers. */
export class ReportClient {
  readonly #options: ReportClientOptions
  #sent = 0
  #failed = 0
  #failures = 0
  #intervalSeconds: number | undefined
  #timer: NodeJS.Timeout | undefined
  #request: ClientRequest | undefined
  #stopped = false
  /** A report is due by timer, none is under way. */
  #waiting = false
  #urgent = false
  #agent: { agent: Agent; key: string } | undefined

  constructor(options: ReportClientOptions) {
    this.#options = options
  }

  get sent(): number {
    return this.#sent
  }

  get failed(): number {
    return this.#failed
  }

  start(): void {
    this.#schedule(0)
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#request?.destroy()
    this.#agent?.agent.destroy()
  }

  /** Something changed that the operator waits for: the next report need not wait. */
  soon(): void {
    this.#urgent = true
    if (this.#waiting && this.#failures === 0) this.#schedule(0)
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return
    clearTimeout(this.#timer)
    this.#waiting = true
    const jitter = 1 + JITTER * (Math.random() - 0.5)
    this.#timer = setTimeout(() => void this.#tick(), delayMs * jitter)
  }

  async #tick(): Promise<void> {
    this.#waiting = false
    this.#urgent = false
    const operator = this.#options.operator()
    if (operator) await this.#report(operator)
    this.#schedule(this.#urgent && this.#failures === 0 ? 0 : this.#pauseMs(operator))
  }

  #pauseMs(operator: OperatorConfig | undefined): number {
    const intervalMs = (this.#intervalSeconds ?? operator?.intervalSeconds ?? IDLE_SECONDS) * 1000
    const backoffMs = intervalMs * 2 ** Math.min(this.#failures, BACKOFF_DOUBLINGS_MAX)
    return Math.min(Math.max(intervalMs, BACKOFF_MAX_MS), backoffMs)
  }

  async #report(operator: OperatorConfig): Promise<void> {
    try {
      const report = this.#options.report()
      const answer = directives.parse(JSON.parse(await this.#post(operator, report)))
      if (this.#stopped) return
      this.#sent++
      this.#intervalSeconds = answer.intervalSeconds
      if (this.#failures > 0) this.#options.reachable(true)
      this.#failures = 0
      this.#options.directed(answer, report)
    } catch (error) {
      if (this.#stopped) return
      this.#failed++
      this.#failures++
      if (this.#failures === 1) this.#options.reachable(false, (error as Error).message)
    }
  }

  #post(operator: OperatorConfig, report: LoadReport): Promise<string> {
    const url = new URL(`/v1/relays/${encodeURIComponent(report.uid)}/report`, operator.url)
    const body = JSON.stringify(report)
    const token = operator.tokenFile && readFileSync(operator.tokenFile, 'utf8').trim()
    const options: RequestOptions = {
      method: 'POST',
      agent: this.#agentFor(operator, url),
      signal: AbortSignal.timeout(this.#options.timeoutMs ?? TIMEOUT_MS),
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        ...(token && { authorization: `Bearer ${token}` }),
      },
    }
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(url, options, (response) => {
        readBody(response).then((text) => {
          if (response.statusCode === 200) resolve(text)
          else reject(new Error(`the operator answered ${response.statusCode}: ${text.slice(0, 200)}`))
        }, reject)
      })
      this.#request = request
      request.on('error', reject)
      request.end(body)
    })
  }

  /** Keeps its connection until the trust changes. */
  #agentFor({ caFile, serverName }: OperatorConfig, url: URL): Agent {
    const ca = caFile && readFileSync(caFile, 'utf8')
    const key = [url.origin, serverName, ca].join('|')
    if (this.#agent?.key === key) return this.#agent.agent
    this.#agent?.agent.destroy()
    const keeping = { keepAlive: true, maxSockets: 1 }
    const trust = { ...(ca && { ca }), ...(serverName && { servername: serverName }) }
    const agent =
      url.protocol === 'https:' ? new https.Agent({ ...keeping, ...trust }) : new http.Agent(keeping)
    this.#agent = { agent, key }
    return agent
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > RESPONSE_BYTES_MAX) throw new Error('the operator answered more than 2 MiB')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
