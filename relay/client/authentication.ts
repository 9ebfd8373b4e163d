import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { NONCE_BYTES_MAX, REALM_BYTES_MAX, readText } from '../stun/attributes.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { longTermKey, opaqueString } from '../stun/integrity.ts'
import type { StunReader } from '../stun/reader.ts'
import type { FinishOptions, StunWriter } from '../stun/writer.ts'

/** The client's side of the long-term credential mechanism (RFC 8489 §9.2). */
export class Authentication {
  readonly #username: string
  readonly #password: string
  readonly #crypto: StunCrypto
  #realm = ''
  #nonce: Uint8Array | undefined
  #key: Uint8Array | undefined

  constructor(username: string, password: string, crypto: StunCrypto) {
    this.#username = opaqueString(username) ?? username
    this.#password = password
    this.#crypto = crypto
  }

  /** The server's realm, undefined until it has told it with a nonce. */
  get realm(): string | undefined {
    return this.#key === undefined ? undefined : this.#realm
  }

  /** Takes realm and nonce from a 401 or 438; false when they are missing or malformed (RFC 8489 §9.2.5). */
  learn(response: StunReader): boolean {
    const nonce = response.find(ATTRIBUTE.Nonce)
    if (nonce < 0 || response.valueLength(nonce) > NONCE_BYTES_MAX) return false
    const realmAt = response.find(ATTRIBUTE.Realm)
    const realm = realmAt < 0 ? undefined : readText(response, realmAt, REALM_BYTES_MAX)
    if (realm === undefined && this.#key === undefined) return false
    this.#nonce = response.value(nonce).slice()
    if (realm !== undefined && (realm !== this.#realm || this.#key === undefined)) {
      this.#realm = realm
      this.#key = longTermKey(this.#crypto, this.#username, realm, this.#password)
    }
    return true
  }

  /** Adds USERNAME, REALM and NONCE, and says how to close the message. */
  sign(writer: StunWriter): FinishOptions {
    if (this.#nonce === undefined) return {}
    writer
      .addText(ATTRIBUTE.Username, this.#username)
      .addText(ATTRIBUTE.Realm, this.#realm)
      .addBytes(ATTRIBUTE.Nonce, this.#nonce)
    return { integrityKey: this.#key, crypto: this.#crypto }
  }

  /** Whether an answer carries our integrity. */
  verifies(response: StunReader): boolean {
    return this.#key !== undefined && response.verifyIntegrity(this.#key, this.#crypto)
  }
}
