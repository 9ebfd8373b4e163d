import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { NONCE_BYTES_MAX, REALM_BYTES_MAX, readText } from '../stun/attributes.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { opaqueString, userhash } from '../stun/integrity.ts'
import { FEATURE, readNonceCookie } from '../stun/nonce-cookie.ts'
import {
  firstKnownAlgorithm,
  type PasswordAlgorithm,
  passwordAlgorithmValue,
  passwordKey,
} from '../stun/password-algorithm.ts'
import type { StunReader } from '../stun/reader.ts'
import type { FinishOptions, StunWriter } from '../stun/writer.ts'

/** PASSWORD-ALGORITHMS as the server sent it, and what we chose of it. */
interface Choice {
  readonly offered: Uint8Array
  readonly algorithm: PasswordAlgorithm
}

/** The client's side of the long-term credential mechanism (RFC 8489 §9.2). */
export class Authentication {
  readonly #username: string
  readonly #password: string
  readonly #crypto: StunCrypto
  #realm = ''
  #nonce: Uint8Array | undefined
  #features = 0
  /** Undefined: the server offers none, MD5 and MESSAGE-INTEGRITY are used. */
  #choice: Choice | undefined
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

  /**
   * Takes realm, nonce and password algorithm from a 401 or 438; false when they are missing, malformed, none
   * that we know, or taken out on the way (RFC 8489 §9.2.5).
   */
  learn(response: StunReader): boolean {
    const nonceAt = response.find(ATTRIBUTE.Nonce)
    const nonce = nonceAt < 0 ? undefined : readText(response, nonceAt, NONCE_BYTES_MAX)
    if (nonce === undefined) return false
    const realmAt = response.find(ATTRIBUTE.Realm)
    const realm = realmAt < 0 ? undefined : readText(response, realmAt, REALM_BYTES_MAX)
    if (realm === undefined && this.#key === undefined) return false
    const features = readNonceCookie(nonce) ?? 0
    const choice = readChoice(response, features)
    if (choice === 'unusable') return false
    this.#nonce = response.value(nonceAt).slice()
    this.#features = features
    this.#choice = choice
    this.#realm = realm ?? this.#realm
    const algorithm = choice?.algorithm ?? 'md5'
    this.#key = passwordKey(this.#crypto, algorithm, this.#username, this.#realm, this.#password)
    return true
  }

  /** Adds who we are and what we answer to, and says how to close the message. */
  sign(writer: StunWriter): FinishOptions {
    if (this.#nonce === undefined) return {}
    const crypto = this.#crypto
    if ((this.#features & FEATURE.UsernameAnonymity) === 0) {
      writer.addText(ATTRIBUTE.Username, this.#username)
    } else writer.addBytes(ATTRIBUTE.Userhash, userhash(crypto, this.#username, this.#realm))
    writer.addText(ATTRIBUTE.Realm, this.#realm).addBytes(ATTRIBUTE.Nonce, this.#nonce)
    if (!this.#choice) return { integrityKey: this.#key, crypto }
    writer
      .addBytes(ATTRIBUTE.PasswordAlgorithms, this.#choice.offered)
      .addUint32(ATTRIBUTE.PasswordAlgorithm, passwordAlgorithmValue(this.#choice.algorithm))
    return { sha256Key: this.#key, crypto }
  }

  /** Whether an answer carries our integrity. */
  verifies(response: StunReader): boolean {
    if (this.#key === undefined) return false
    return this.#choice
      ? response.verifyIntegritySha256(this.#key, this.#crypto)
      : response.verifyIntegrity(this.#key, this.#crypto)
  }
}

function readChoice(response: StunReader, features: number): Choice | undefined | 'unusable' {
  const at = response.find(ATTRIBUTE.PasswordAlgorithms)
  if (at < 0) return (features & FEATURE.PasswordAlgorithms) === 0 ? undefined : 'unusable'
  const offered = response.value(at).slice()
  const algorithm = firstKnownAlgorithm(offered)
  return algorithm ? { offered, algorithm } : 'unusable'
}
