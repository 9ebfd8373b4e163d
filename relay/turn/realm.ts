import type { ServerCrypto } from '../stun/crypto.ts'
import { type CredentialOptions, Credentials } from './credentials.ts'
import { ThirdParty, type ThirdPartyOptions } from './third-party.ts'

/** Round the name of a realm where quotas are counted: in no name of a tenant. */
const SEPARATOR = '\0'

export interface RealmOptions extends CredentialOptions {
  /** Undefined: no third-party authorization (RFC 7635). */
  readonly thirdParty: ThirdPartyOptions | undefined
  /** Security features that challenges offer (RFC 8489 §18.1): flags of `FEATURE`. */
  readonly securityFeatures: number
  /** Whether a client that names no realm gets this one. */
  readonly isDefault: boolean
  /** Values of ORIGIN whose clients are challenged for it. */
  readonly origins: readonly string[]
  /** Names of TLS servers whose clients are, with a leading `*.` for every name one label below. */
  readonly serverNames: readonly string[]
  /** Listeners whose clients are. */
  readonly listeners: readonly { readonly port: number; readonly stream: boolean }[]
  /** The name of the peer policy of its clients; undefined: that of all. */
  readonly peerPolicy: string | undefined
  /** Undefined: as many as the relay gives. */
  readonly allocations: number | undefined
  readonly allocationsPerUser: number | undefined
}

/** A realm (RFC 8489 §9.2): who may come in by it, and what its challenges offer. */
export class Realm {
  readonly name: string
  /** As REALM carries it. */
  readonly nameBytes: Uint8Array
  /** What the names of its users and tenants begin with where quotas are counted. */
  readonly quotaName: string
  readonly credentials: Credentials
  readonly thirdParty: ThirdParty | undefined
  readonly securityFeatures: number
  readonly origins: ReadonlySet<string>
  readonly peerPolicy: string | undefined
  readonly allocations: number | undefined
  readonly allocationsPerUser: number | undefined
  readonly #serverNames: ReadonlySet<string>
  readonly #listeners: RealmOptions['listeners']

  /** Throws an Error that names the user whose name or password is not usable. */
  constructor(crypto: ServerCrypto, options: RealmOptions) {
    this.name = options.realm
    this.nameBytes = new TextEncoder().encode(options.realm)
    this.quotaName = options.isDefault ? '' : `${SEPARATOR}${options.realm}${SEPARATOR}`
    this.credentials = new Credentials(crypto, options)
    this.thirdParty = options.thirdParty && new ThirdParty(crypto, options.thirdParty)
    this.securityFeatures = options.securityFeatures
    this.origins = new Set(options.origins)
    this.peerPolicy = options.peerPolicy
    this.allocations = options.allocations
    this.allocationsPerUser = options.allocationsPerUser
    this.#serverNames = new Set(options.serverNames.map((name) => name.toLowerCase()))
    this.#listeners = options.listeners
  }

  /** Whether a client that asked for this name by TLS or DTLS is one of its own. */
  isNamed(serverName: string): boolean {
    const name = serverName.toLowerCase()
    return this.#serverNames.has(name) || this.#serverNames.has(name.replace(/^[^.]+/, '*'))
  }

  /** Whether a listener on this port, for streams or for datagrams, is one of its own. */
  isAt(port: number, stream: boolean): boolean {
    return this.#listeners.some((one) => one.port === port && one.stream === stream)
  }
}
