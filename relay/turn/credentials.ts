import type { SharedKey } from '../api/config.ts'
import { parseRestUsername } from '../api/rest-credential.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { longTermKey, opaqueString } from '../stun/integrity.ts'

const ENCODER = new TextEncoder()

/** What a request's integrity is checked with; one username may have several, one for each key of the ring. */
export interface Candidate {
  /** The long-term credential key (RFC 8489 §9.2.2). */
  readonly key: Uint8Array
  /** The id of the shared secret, or `static`. */
  readonly keyId: string
}

export interface Identity {
  /** What quotas are counted by. */
  readonly user: string
  readonly candidates: readonly Candidate[]
  /** Anything but `valid` is refused after the same work. */
  readonly standing: 'valid' | 'expired' | 'unknown'
}

export interface CredentialOptions {
  readonly realm: string
  readonly users: readonly { readonly username: string; readonly password: string }[]
  /** TURN REST shared secrets: every one verifies. */
  readonly keys: readonly SharedKey[]
}

/**
 * Long-term credentials: static users, and TURN REST usernames (`expiry:name`) against a ring of keys.
 * Unknown usernames get keys that nobody has, so that they cost and answer what a wrong password does.
 */
export class Credentials {
  readonly #crypto: StunCrypto
  readonly #realm: string
  readonly #users: ReadonlyMap<string, Candidate>
  readonly #keys: readonly { readonly id: string; readonly secret: Uint8Array }[]
  readonly #unknown: readonly Candidate[]

  /** Throws an Error that names the user whose name or password is not usable (RFC 8265). */
  constructor(crypto: StunCrypto, options: CredentialOptions) {
    this.#crypto = crypto
    this.#realm = options.realm
    this.#users = new Map(options.users.map((user) => this.#prepareUser(user.username, user.password)))
    this.#keys = options.keys.map(({ id, secret }) => ({ id, secret: ENCODER.encode(secret) }))
    this.#unknown = [{ key: crypto.randomBytes(16), keyId: 'unknown' }]
  }

  /** Never undefined: see the class. `username` is taken as USERNAME carried it. */
  identify(username: string, unixSeconds: number): Identity {
    const known = this.#users.get(username)
    if (known) return { user: username, candidates: [known], standing: 'valid' }
    const rest = this.#keys.length > 0 ? parseRestUsername(username) : undefined
    if (!rest) return { user: username, candidates: this.#unknown, standing: 'unknown' }
    return {
      user: rest.user === '' ? username : rest.user,
      candidates: this.#restCandidates(username),
      standing: rest.expiresUnixSeconds > unixSeconds ? 'valid' : 'expired',
    }
  }

  #restCandidates(username: string): Candidate[] {
    const bytes = ENCODER.encode(username)
    return this.#keys.map(({ id, secret }) => {
      const password = base64(this.#crypto.hmacSha1(secret, bytes))
      return { keyId: id, key: longTermKey(this.#crypto, username, this.#realm, password) }
    })
  }

  #prepareUser(username: string, password: string): [string, Candidate] {
    const name = opaqueString(username)
    if (name === undefined || opaqueString(password) === undefined) {
      throw new Error(
        `credentials.users: "${username}" or its password is empty or holds control characters; choose others`,
      )
    }
    return [name, { keyId: 'static', key: longTermKey(this.#crypto, name, this.#realm, password) }]
  }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
