import { createHash } from 'node:crypto'
import { unavailable } from './http-error.ts'

/** Who a Kubernetes token speaks for. */
export interface TokenIdentity {
  username: string
  uid?: string
  groups?: string[]
  extra?: Record<string, string[]>
}

/** What a caller wants to do, in the words of a SubjectAccessReview. */
export type Access =
  | {
      verb: 'get' | 'list' | 'create' | 'delete'
      subresource?: 'ice' | 'revocations'
      namespace?: string
      name?: string
    }
  | { verb: 'get'; path: string }

/** Questions to the API server: TokenReview and SubjectAccessReview. */
export interface KubernetesAccess {
  /** Undefined: the token is not valid. */
  reviewToken(token: string): Promise<TokenIdentity | undefined>
  authorize(identity: TokenIdentity, access: Access): Promise<boolean>
}

const ENTRIES_MAX = 4096
const TOKEN_LENGTH_MAX = 8192

export interface ReviewCacheTimes {
  acceptedMs: number
  refusedMs: number
  /** Reviews that may be under way at the same time. */
  parallel: number
}

const DEFAULT_TIMES: ReviewCacheTimes = { acceptedMs: 60_000, refusedMs: 5000, parallel: 32 }

/**
 * Remembers for a short time what a review answered, so that callers do not load the API server: relays report
 * every few seconds. Secrets are kept as hashes only.
 */
export class ReviewCache<T> {
  readonly #entries = new Map<string, { value: Promise<T | undefined>; expiresAtMs: number }>()
  readonly #times: ReviewCacheTimes
  #running = 0

  constructor(times: Partial<ReviewCacheTimes> = {}) {
    this.#times = { ...DEFAULT_TIMES, ...times }
  }

  async get(secret: string, nowMs: number, review: () => Promise<T | undefined>): Promise<T | undefined> {
    if (secret.length > TOKEN_LENGTH_MAX) return undefined
    const name = createHash('sha256').update(secret).digest('base64')
    const known = this.#entries.get(name)
    if (known && known.expiresAtMs > nowMs) return await known.value
    if (this.#running >= this.#times.parallel) {
      throw unavailable('busy', 'too many tokens are being reviewed: try again in a second', 1)
    }
    const entry = { value: this.#review(review), expiresAtMs: nowMs + this.#times.acceptedMs }
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    this.#makeRoom()
    try {
      const value = await entry.value
      if (value === undefined) entry.expiresAtMs = nowMs + this.#times.refusedMs
      return value
    } catch (error) {
      if (this.#entries.get(name) === entry) this.#entries.delete(name)
      throw error
    }
  }

  async #review(review: () => Promise<T | undefined>): Promise<T | undefined> {
    this.#running++
    try {
      return await review()
    } finally {
      this.#running--
    }
  }

  #makeRoom(): void {
    for (const name of this.#entries.keys()) {
      if (this.#entries.size <= ENTRIES_MAX) return
      this.#entries.delete(name)
    }
  }
}
