import type { FastifyRequest } from 'fastify'
import type { ClusterKey } from '../controller/contract.ts'
import { API_KEY_PREFIX, type ApiKey, findApiKey } from './api-keys.ts'
import { forbidden, tooManyRequests, unauthenticated } from './http-error.ts'
import { type Access, type KubernetesAccess, ReviewCache, type TokenIdentity } from './kubernetes-access.ts'
import { Quota } from './quota.ts'

/** Who calls. */
export type Principal =
  | { kind: 'loopback' }
  | { kind: 'api-key'; key: ApiKey }
  | { kind: 'token'; identity: TokenIdentity }

export interface AuthenticationOptions {
  apiKeys: () => readonly ApiKey[]
  /** Absent: Kubernetes tokens are refused. */
  kubernetes?: KubernetesAccess
  /** Callers on this machine need no key: standalone mode. */
  trustLoopback: boolean
  nowMs: () => number
}

const TOKEN_REQUESTS_PER_MINUTE = 1200
const BEARER = /^Bearer +([\x21-\x7e]+) *$/i
const LOOPBACK_ADDRESS = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const LOOPBACK_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i
const FORWARDED_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Decides who calls and what they may; throws HttpError where it refuses. */
export class Authentication {
  readonly #options: AuthenticationOptions
  readonly #reviews = new ReviewCache<TokenIdentity>()
  readonly #permits = new ReviewCache<true>({ acceptedMs: 10_000 })
  readonly #quota = new Quota()

  constructor(options: AuthenticationOptions) {
    this.#options = options
  }

  /** `presentedKey`: an API key from elsewhere than the Authorization header. */
  async principal(request: FastifyRequest, presentedKey?: string): Promise<Principal> {
    const token = presentedKey ?? bearerToken(request)
    if (token === undefined) {
      if (this.#options.trustLoopback && isLoopback(request)) return { kind: 'loopback' }
      throw unauthenticated('send an API key or a Kubernetes token as "Authorization: Bearer …"')
    }
    return token.startsWith(API_KEY_PREFIX) ? this.#keyHolder(request, token) : await this.#tokenHolder(token)
  }

  /** The clusters out of `keys` that the caller may use for `access`. */
  async permitted(principal: Principal, verb: 'get' | 'create', keys: ClusterKey[]): Promise<ClusterKey[]> {
    if (principal.kind === 'loopback') return keys
    if (principal.kind === 'api-key') {
      const { clusters } = principal.key
      return clusters ? keys.filter((key) => clusters.includes(key)) : keys
    }
    const { identity } = principal
    const answers = await Promise.all(
      keys.map((key) => {
        const [namespace = '', name = ''] = key.split('/')
        const access: Access =
          verb === 'create' ? { verb, subresource: 'ice', namespace, name } : { verb, namespace, name }
        return this.#authorized(identity, access)
      }),
    )
    return keys.filter((_, index) => answers[index])
  }

  /** Whether the caller may see, add or take back revocations of a cluster. */
  async mayRevoke(
    principal: Principal,
    verb: 'get' | 'create' | 'delete',
    key: ClusterKey,
  ): Promise<boolean> {
    if (principal.kind === 'loopback') return true
    if (principal.kind === 'api-key') {
      const { clusters, revoke } = principal.key
      return revoke && (clusters?.includes(key) ?? true)
    }
    const [namespace = '', name = ''] = key.split('/')
    return this.#authorized(principal.identity, { verb, subresource: 'revocations', namespace, name })
  }

  /** For pages and metrics, which belong to no cluster: an API key is not enough. */
  async requirePath(principal: Principal, path: string): Promise<void> {
    if (principal.kind === 'loopback') return
    if (principal.kind === 'token' && (await this.#authorized(principal.identity, { verb: 'get', path })))
      return
    throw forbidden(`this caller may not read ${path}: it needs the verb get on that nonResourceURL`)
  }

  /** True where a browser page of that origin may call at all; which key it may use is decided with the key. */
  allowsOrigin(origin: string, request: FastifyRequest): boolean {
    if (this.#options.trustLoopback && isLoopbackOrigin(origin) && isLoopback(request)) return true
    return this.#options.apiKeys().some((key) => key.origins?.includes(origin))
  }

  #keyHolder(request: FastifyRequest, token: string): Principal {
    const key = findApiKey(this.#options.apiKeys(), token)
    if (!key) throw unauthenticated('this API key is not known: it may have been removed')
    const { origin } = request.headers
    if (origin !== undefined && !key.origins?.includes(origin)) {
      throw forbidden(
        `API key ${key.id} is not for pages of ${printable(origin)}: add it to the key's origins`,
      )
    }
    this.#count(`key:${key.id}`, key.perMinute)
    return { kind: 'api-key', key }
  }

  async #tokenHolder(token: string): Promise<Principal> {
    const { kubernetes, nowMs } = this.#options
    if (!kubernetes) throw unauthenticated(`only API keys (${API_KEY_PREFIX}…) are accepted here`)
    const identity = await this.#reviews.get(token, nowMs(), () => kubernetes.reviewToken(token))
    if (!identity) throw unauthenticated('the API server does not accept this token: it may have expired')
    this.#count(`token:${identity.username}`, TOKEN_REQUESTS_PER_MINUTE)
    return { kind: 'token', identity }
  }

  async #authorized(identity: TokenIdentity, access: Access): Promise<boolean> {
    const { kubernetes, nowMs } = this.#options
    if (!kubernetes) return false
    const question = JSON.stringify([identity, access])
    const ask = async () => ((await kubernetes.authorize(identity, access)) ? true : undefined)
    return (await this.#permits.get(question, nowMs(), ask)) === true
  }

  #count(name: string, perMinute: number): void {
    const waitSeconds = this.#quota.take(name, perMinute, this.#options.nowMs())
    if (waitSeconds > 0) throw tooManyRequests(waitSeconds)
  }
}

/** The bearer token of a request, undefined where it has none. */
export function bearerToken(request: FastifyRequest): string | undefined {
  const header = request.headers.authorization
  if (header === undefined) return undefined
  const match = BEARER.exec(header)
  if (!match) throw unauthenticated('the Authorization header must have the form "Bearer …"')
  return match[1]
}

/**
 * True only for a caller on this machine: the address of the socket is a loopback one, the Host header names
 * loopback (else a foreign name was made to point here: DNS rebinding), no proxy forwarded the request for
 * somebody else, and no page of another site sent it.
 */
function isLoopback(request: FastifyRequest): boolean {
  const { headers } = request
  if (!LOOPBACK_ADDRESS.test(request.socket.remoteAddress ?? '')) return false
  if (!LOOPBACK_HOST.test(headers.host ?? '')) return false
  if (FORWARDED_HEADERS.some((name) => headers[name] !== undefined)) return false
  return headers.origin === undefined || isLoopbackOrigin(headers.origin)
}

function isLoopbackOrigin(origin: string): boolean {
  const match = /^https?:\/\/(.+)$/i.exec(origin)
  return match !== null && LOOPBACK_HOST.test(match[1] ?? '')
}

function printable(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 100)
}
