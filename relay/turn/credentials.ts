import type { SharedKey } from '../api/credentials-config.ts'
import { parseRestUsername } from '../api/rest-credential.ts'
import {
  type CredentialClaims,
  isSignedUsername,
  parseSignedUsername,
  signedPassword,
  signingKey,
} from '../api/signed-credential.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { opaqueString, userhash } from '../stun/integrity.ts'
import { type PasswordAlgorithm, passwordKey } from '../stun/password-algorithm.ts'

const ENCODER = new TextEncoder()

/** What a request's integrity is checked with; one username may have several, two for each key of the ring. */
export interface Candidate {
  /** The long-term credential key (RFC 8489 §9.2.2, §18.5.1). */
  readonly key: Uint8Array
  /** The id of the shared secret, or `static`. */
  readonly keyId: string
}

export interface Identity {
  /** What quotas are counted by. */
  readonly user: string
  /** Computed one by one: where the first fits, the others cost nothing. */
  readonly candidates: Iterable<Candidate>
  /** Anything but `valid` is refused after the same work. */
  readonly standing: 'valid' | 'expired' | 'unknown'
  /** What a signed credential says. */
  readonly claims?: CredentialClaims
}

export interface CredentialOptions {
  readonly realm: string
  readonly users: readonly { readonly username: string; readonly password: string }[]
  /** TURN REST shared secrets: every one verifies. */
  readonly keys: readonly SharedKey[]
}

interface RingKey {
  readonly id: string
  readonly secret: Uint8Array
  /** Of signed credentials. */
  readonly signingKey: Uint8Array
}

type KeyPair = Readonly<Record<PasswordAlgorithm, Uint8Array>>

/**
 * Long-term credentials: static users, TURN REST usernames (`expiry:name`) against a ring of keys, with passwords
 * made by HMAC-SHA1 or HMAC-SHA256, and signed ones. Unknown usernames get keys that nobody has, so that they cost
 * and answer what a wrong password does.
 */
export class Credentials {
  readonly #crypto: StunCrypto
  readonly #realm: string
  readonly #users: ReadonlyMap<string, KeyPair>
  readonly #namesByHash: ReadonlyMap<string, string>
  readonly #keys: readonly RingKey[]
  readonly #nobodys: Pick<RingKey, 'signingKey'>
  readonly #unknown: KeyPair

  /** Throws an Error that names the user whose name or password is not usable (RFC 8265). */
  constructor(crypto: StunCrypto, options: CredentialOptions) {
    this.#crypto = crypto
    this.#realm = options.realm
    this.#users = new Map(options.users.map((user) => this.#prepareUser(user.username, user.password)))
    this.#namesByHash = new Map([...this.#users.keys()].map((name) => [this.userhash(name).join(), name]))
    this.#keys = options.keys.map(({ id, secret }) => ({
      id,
      secret: ENCODER.encode(secret),
      signingKey: signingKey(crypto, secret),
    }))
    this.#nobodys = { signingKey: crypto.randomBytes(32) }
    this.#unknown = { md5: crypto.randomBytes(16), sha256: crypto.randomBytes(32) }
  }

  /** Never undefined: see the class. `username` is taken as USERNAME carried it. */
  identify(username: string, unixSeconds: number, algorithm: PasswordAlgorithm = 'md5'): Identity {
    const known = this.#users.get(username)
    if (known) return fixed(username, { key: known[algorithm], keyId: 'static' }, 'valid')
    if (isSignedUsername(username)) return this.#identifySigned(username, unixSeconds, algorithm)
    const rest = this.#keys.length > 0 ? parseRestUsername(username) : undefined
    if (!rest) return fixed(username, { key: this.#unknown[algorithm], keyId: 'unknown' }, 'unknown')
    return {
      user: rest.user === '' ? username : rest.user,
      candidates: this.#restCandidates(username, algorithm),
      standing: rest.expiresUnixSeconds > unixSeconds ? 'valid' : 'expired',
    }
  }

  /** A signed credential names its key, so that there is one to try; of an unknown one, that which nobody has. */
  #identifySigned(username: string, unixSeconds: number, algorithm: PasswordAlgorithm): Identity {
    const claims = parseSignedUsername(username)
    const known = this.#keys.find(({ id }) => id === claims?.keyId)
    const password = signedPassword(this.#crypto, (known ?? this.#nobodys).signingKey, username)
    const key = passwordKey(this.#crypto, algorithm, username, this.#realm, password)
    if (!claims || !known) return fixed(username, { key, keyId: 'unknown' }, 'unknown')
    const standing = claims.expiresUnixSeconds > unixSeconds ? 'valid' : 'expired'
    return { ...fixed(claims.user, { key, keyId: known.id }, standing), claims }
  }

  /** USERHASH of a name in this realm (RFC 8489 §14.4). */
  userhash(username: string): Uint8Array {
    return userhash(this.#crypto, username, this.#realm)
  }

  /** The static user whose USERHASH this is. */
  nameOf(hash: Uint8Array): string | undefined {
    return this.#namesByHash.get(hash.join())
  }

  *#restCandidates(username: string, algorithm: PasswordAlgorithm): Generator<Candidate> {
    const bytes = ENCODER.encode(username)
    for (const hmac of ['hmacSha1', 'hmacSha256'] as const) {
      for (const { id, secret } of this.#keys) {
        const password = base64(this.#crypto[hmac](secret, bytes))
        yield { keyId: id, key: passwordKey(this.#crypto, algorithm, username, this.#realm, password) }
      }
    }
  }

  #prepareUser(username: string, password: string): [string, KeyPair] {
    const name = opaqueString(username)
    if (name === undefined || opaqueString(password) === undefined) {
      throw new Error(
        `credentials.users: "${username}" or its password is empty or holds control characters; choose others`,
      )
    }
    const key = (algorithm: PasswordAlgorithm) =>
      passwordKey(this.#crypto, algorithm, name, this.#realm, password)
    return [name, { md5: key('md5'), sha256: key('sha256') }]
  }
}

function fixed(user: string, candidate: Candidate, standing: Identity['standing']): Identity {
  return { user, candidates: [candidate], standing }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
