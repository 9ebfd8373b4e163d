import { createHash } from 'node:crypto'
import { REPORT_TOKEN_AUDIENCE } from '../../relay/api/load-report.ts'
import { unavailable } from '../http/http-error.ts'
import { type ReviewedRelay, reviewRelayToken } from './access.ts'
import type { KubeClient } from './client.ts'

const REMEMBERED_MAX = 5000
const REMEMBERED_MS_MAX = 3600_000

export interface RelayTokensOptions {
  /** Whether the pods of that namespace are known. */
  hasSynced: (namespace: string) => boolean
  /** Whether there is a relay pod of that uid. */
  hasRelay: (namespace: string, uid: string) => boolean
  wallMs: () => number
}

/**
 * Who a relay's token speaks for. A token is reviewed once and then good until it ends, as long as its pod is
 * there: that is what the API server would look at again, and reports come every second.
 */
export class RelayTokens {
  readonly #client: Pick<KubeClient, 'request'>
  readonly #options: RelayTokensOptions
  readonly #known = new Map<string, { relay: ReviewedRelay; endsAtMs: number }>()

  constructor(client: Pick<KubeClient, 'request'>, options: RelayTokensOptions) {
    this.#client = client
    this.#options = options
  }

  /** Undefined where the token is no relay's. */
  async review(token: string): Promise<ReviewedRelay | undefined> {
    const { hasSynced, hasRelay } = this.#options
    const relay = await this.#reviewOnce(token)
    if (!relay) return undefined
    if (!hasSynced(relay.namespace))
      throw unavailable('starting', `the operator does not know namespace ${relay.namespace} yet`, 1)
    return hasRelay(relay.namespace, relay.uid) ? relay : undefined
  }

  async #reviewOnce(token: string): Promise<ReviewedRelay | undefined> {
    const nowMs = this.#options.wallMs()
    const hash = createHash('sha256').update(token).digest('base64')
    const known = this.#known.get(hash)
    if (known && known.endsAtMs > nowMs) return known.relay
    const relay = await reviewRelayToken(this.#client, token, REPORT_TOKEN_AUDIENCE)
    this.#known.delete(hash)
    if (relay) this.#known.set(hash, { relay, endsAtMs: Math.min(endOf(token), nowMs + REMEMBERED_MS_MAX) })
    for (const oldest of this.#known.keys()) if (this.#known.size > REMEMBERED_MAX) this.#known.delete(oldest)
    return relay
  }
}

/** `exp` of a JSON Web Token that the API server has accepted (RFC 7519 §4.1.4). */
function endOf(token: string): number {
  try {
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
      exp?: number
    }
    return (payload.exp ?? 0) * 1000
  } catch {
    return 0
  }
}
