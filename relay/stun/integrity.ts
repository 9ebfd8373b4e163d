import type { StunCrypto } from './crypto.ts'

const ENCODER = new TextEncoder()
const NON_ASCII_SPACE = /(?! )\p{Zs}/gu
/** Control characters, unassigned, private-use and surrogate code points: outside FreeformClass (RFC 8264 §4.3). */
const DISALLOWED = /[\p{Cc}\p{Cn}\p{Co}\p{Cs}]/u

/**
 * OpaqueString of RFC 8265 §4.2.2: non-ASCII spaces become U+0020, then NFC. Undefined when the result is
 * empty or holds what FreeformClass does not allow.
 */
export function opaqueString(text: string): string | undefined {
  const prepared = text.replace(NON_ASCII_SPACE, ' ').normalize('NFC')
  return prepared === '' || DISALLOWED.test(prepared) ? undefined : prepared
}

/** The long-term credential key: MD5 of `user:realm:password` (RFC 8489 §9.2.2). The username is taken as USERNAME carries it. */
export function longTermKey(
  crypto: StunCrypto,
  username: string,
  realm: string,
  password: string,
): Uint8Array {
  return crypto.md5(keyInput(username, realm, password))
}

/** The long-term credential key under the SHA-256 password algorithm (RFC 8489 §18.5.1.2). */
export function longTermKeySha256(
  crypto: StunCrypto,
  username: string,
  realm: string,
  password: string,
): Uint8Array {
  return crypto.sha256(keyInput(username, realm, password))
}

/** The short-term credential key: the prepared password (RFC 8489 §9.1.1). */
export function shortTermKey(password: string): Uint8Array {
  return ENCODER.encode(opaqueString(password) ?? password)
}

/** USERHASH: SHA-256 of `user:realm` (RFC 8489 §14.4). */
export function userhash(crypto: StunCrypto, username: string, realm: string): Uint8Array {
  return crypto.sha256(
    ENCODER.encode(`${opaqueString(username) ?? username}:${opaqueString(realm) ?? realm}`),
  )
}

function keyInput(username: string, realm: string, password: string): Uint8Array {
  return ENCODER.encode(`${username}:${opaqueString(realm) ?? realm}:${opaqueString(password) ?? password}`)
}
