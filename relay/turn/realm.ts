import type { ServerCrypto } from '../stun/crypto.ts'
import { type CredentialOptions, Credentials } from './credentials.ts'
import { ThirdParty, type ThirdPartyOptions } from './third-party.ts'

export interface RealmOptions extends CredentialOptions {
  /** Undefined: no third-party authorization (RFC 7635). */
  readonly thirdParty: ThirdPartyOptions | undefined
  /** Security features that challenges offer (RFC 8489 §18.1): flags of `FEATURE`. */
  readonly securityFeatures: number
}

/** A realm (RFC 8489 §9.2): who may come in by it, and what its challenges offer. */
export class Realm {
  readonly name: string
  /** What the names of its users and tenants begin with where quotas are counted. */
  readonly quotaName: string
  readonly credentials: Credentials
  readonly thirdParty: ThirdParty | undefined
  readonly securityFeatures: number

  /** Throws an Error that names the user whose name or password is not usable. */
  constructor(crypto: ServerCrypto, options: RealmOptions) {
    this.name = options.realm
    this.quotaName = ''
    this.credentials = new Credentials(crypto, options)
    this.thirdParty = options.thirdParty && new ThirdParty(crypto, options.thirdParty)
    this.securityFeatures = options.securityFeatures
  }
}
