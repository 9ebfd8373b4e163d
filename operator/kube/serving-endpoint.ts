import { backoffMs, type Clock, waitFor } from '../queue/clock.ts'
import type { OperatorEndpoint } from '../specs/config-map.ts'
import { type KubeClient, KubeError } from './client.ts'
import { advertisedEndpoint } from './endpoint.ts'
import { loadServingCertificate, type ServingCertificate } from './serving-certificate.ts'

/** A Service that was made anew has another address, and certificates end. */
const LOOK_AGAIN_MS = 300_000
const START_RETRIES_MAX = 8
const START_BACKOFF_FIRST_MS = 250
const START_BACKOFF_MAX_MS = 5000

export interface ServingEndpointOptions {
  namespace: string
  servingSecret: string
  service?: string
  advertiseUrl?: string
  /** Called when what relays or the HTTP server need has changed. */
  onChange: () => void
  onError: (error: Error) => void
  clock: Clock
  random: () => number
}

/** Where relays reach the operator and by which certificate; looked after while the operator runs. */
export class ServingEndpoint {
  readonly #client: KubeClient
  readonly #options: ServingEndpointOptions
  #current: { endpoint: OperatorEndpoint; certificate: ServingCertificate } | undefined
  readonly #stop = new AbortController()
  #cancel = (): void => {}

  constructor(client: KubeClient, options: ServingEndpointOptions) {
    this.#client = client
    this.#options = options
  }

  /** Tries for a while, since the API server may be starting as well; what it refuses for good is thrown. */
  async start(): Promise<void> {
    const { clock, random, onError } = this.#options
    for (let failures = 0; !this.#current; failures++) {
      try {
        this.#current = await this.#load()
      } catch (error) {
        const isFinal = error instanceof KubeError && error.status >= 400 && error.status < 429
        if (isFinal || failures >= START_RETRIES_MAX || this.#stop.signal.aborted) throw error
        onError(error as Error)
        await waitFor(
          clock,
          backoffMs(failures, START_BACKOFF_FIRST_MS, START_BACKOFF_MAX_MS, random),
          this.#stop.signal,
        )
      }
    }
    this.#planNext()
  }

  stop(): void {
    this.#stop.abort()
    this.#cancel()
  }

  endpoint(): OperatorEndpoint {
    return this.#loaded().endpoint
  }

  certificate(): ServingCertificate {
    return this.#loaded().certificate
  }

  #loaded() {
    if (!this.#current) throw new Error('the endpoint is asked for before it was loaded')
    return this.#current
  }

  #planNext(): void {
    this.#cancel = this.#options.clock.after(LOOK_AGAIN_MS, () => {
      this.#refresh()
        .catch(this.#options.onError)
        .finally(() => this.#planNext())
    })
  }

  async #refresh(): Promise<void> {
    const before = JSON.stringify(this.#current)
    this.#current = await this.#load()
    if (JSON.stringify(this.#current) !== before) this.#options.onChange()
  }

  async #load() {
    const { namespace, servingSecret: secretName } = this.#options
    const { url, names, serverName } = await advertisedEndpoint(this.#client, this.#options)
    const certificate = await loadServingCertificate(this.#client, {
      namespace,
      secretName,
      names,
      wallMs: Date.now,
    })
    return { endpoint: { url, caPem: certificate.caPem, ...(serverName ? { serverName } : {}) }, certificate }
  }
}
