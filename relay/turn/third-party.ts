import { type AccessToken, readAccessToken, splitAccessToken } from '../stun/access-token.ts'
import type { ServerCrypto } from '../stun/crypto.ts'

const ENCODER = new TextEncoder()
const NOBODYS_KEY_BYTES = 32
/** How far the clocks of the authorization server and of the relay may differ (RFC 7635 §7, §9). */
const SKEW_SECONDS = 5

export interface ThirdPartyOptions {
  /** Associated data of every token, and the value of THIRD-PARTY-AUTHORIZATION (RFC 7635 §6). */
  readonly serverName: string
  /** Secrets shared with the authorization server, of 16 or 32 bytes. */
  readonly keys: readonly { readonly id: string; readonly key: Uint8Array }[]
}

/** Third-party authorization (RFC 7635): a ring of keys that open the ACCESS-TOKENs of an authorization server. */
export class ThirdParty {
  readonly serverName: string
  readonly #crypto: ServerCrypto
  readonly #associatedData: Uint8Array
  readonly #keys: ReadonlyMap<string, Uint8Array>
  /** Under this one the token of an unknown key id is opened in vain, so that it costs what others do. */
  readonly #nobodys: Uint8Array

  constructor(crypto: ServerCrypto, { serverName, keys }: ThirdPartyOptions) {
    this.serverName = serverName
    this.#crypto = crypto
    this.#associatedData = ENCODER.encode(serverName)
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]))
    this.#nobodys = crypto.randomBytes(NOBODYS_KEY_BYTES)
  }

  /** The token, opened with the key that USERNAME names; undefined where it is malformed or not authentic. */
  open(keyId: string, token: Uint8Array): AccessToken | undefined {
    const split = splitAccessToken(token)
    if (!split) return undefined
    const key = this.#keys.get(keyId) ?? this.#nobodys
    const block = this.#crypto.openAesGcm(key, split.nonce, this.#associatedData, split.sealed)
    return block && readAccessToken(block)
  }
}

/** Seconds that a token still holds, and the longest lifetime of what is made with it (RFC 7635 §7, §9); 0 or less: none. */
export function tokenRemainingSeconds(
  { timestampSeconds, lifetimeSeconds }: AccessToken,
  unixSeconds: number,
): number {
  return lifetimeSeconds + SKEW_SECONDS - Math.abs(unixSeconds - timestampSeconds)
}
