import type { TransportAddress } from '../stun/address.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { COOKIE_CHARACTERS, nonceCookie, readNonceCookie } from '../stun/nonce-cookie.ts'
import { readUint32, writeUint16, writeUint32 } from '../stun/wire.ts'

const TIME_BYTES = 4
/**
 * With the time, 64 bits make 16 characters, so that a 401 stays small: a guess has to be sent to the relay, and
 * gains no more than a replay of what somebody signed. Behind a cookie, 80 bits make 32 characters with it.
 */
const MAC_BYTES = { plain: 8, withCookie: 10 } as const
const CHARACTERS = { plain: 16, withCookie: 19 } as const
/** How far the clocks of two relays of a fleet may differ. */
const CLOCK_SKEW_SECONDS = 60
const MAC_BYTES_MAX = Math.max(MAC_BYTES.plain, MAC_BYTES.withCookie)
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const NOT_BASE64 = 255
/** By character code: what `atob` would look up, without its exceptions and copies. */
const BASE64_VALUES = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = BASE64.indexOf(String.fromCharCode(code))
  return value < 0 ? NOT_BASE64 : value
})
const BASE64_CODES = Uint8Array.from(BASE64, (character) => character.charCodeAt(0))
/** Time, family, IP, port. */
const INPUT_BYTES = TIME_BYTES + 1 + 16 + 2

/**
 * Stateless nonces (RFC 8489 §9.2.4): the time and a MAC of the time and the client's address. Every relay
 * with the same keys accepts them: a nonce from one relay must verify on the next, as browsers give up on 438
 * to Allocate. The first key signs, all verify. The MAC covers the security features of the nonce's cookie, so
 * that nobody on the way can take them out (§9.2.1); without features there is no cookie.
 */
export class NonceMint {
  readonly #crypto: StunCrypto
  readonly #keys: readonly Uint8Array[]
  readonly #lifetimeSeconds: number
  readonly #input = new Uint8Array(INPUT_BYTES)
  readonly #nonce = new Uint8Array(TIME_BYTES + MAC_BYTES_MAX)
  readonly #plain = new Uint8Array(CHARACTERS.plain)
  /** By features: with the cookie in front. */
  readonly #withCookie = new Map<number, Uint8Array>()

  constructor(crypto: StunCrypto, keys: readonly Uint8Array[], lifetimeSeconds: number) {
    this.#crypto = crypto
    this.#keys = keys
    this.#lifetimeSeconds = lifetimeSeconds
  }

  /** A nonce for this client with these security features (`FEATURE`): its characters, valid until the next one. */
  issue(client: TransportAddress, unixSeconds: number, features = 0): Uint8Array {
    const form = features === 0 ? 'plain' : 'withCookie'
    const nonce = this.#nonce
    const seconds = Math.floor(unixSeconds)
    writeUint32(nonce, 0, seconds)
    const mac = this.#hmac(this.#keys[0]!, client, seconds, features)
    for (let i = 0; i < MAC_BYTES[form]; i++) nonce[TIME_BYTES + i] = mac[i]!
    const text = features === 0 ? this.#plain : this.#behindCookie(features)
    encode(nonce, text, text.length - CHARACTERS[form], CHARACTERS[form])
    return text
  }

  /**
   * Whether a nonce was issued to this client by this fleet, and not too long ago. `proven` is a nonce that this
   * mint has verified for this client before: its MAC need not be computed again.
   */
  verify(nonce: string, client: TransportAddress, unixSeconds: number, proven?: string): boolean {
    const features = readNonceCookie(nonce) ?? 0
    const bytes = decode(nonce, features)
    if (!bytes) return false
    const seconds = readUint32(bytes, 0)
    const age = unixSeconds - seconds
    if (age > this.#lifetimeSeconds || age < -CLOCK_SKEW_SECONDS) return false
    if (nonce === proven) return true
    const mac = bytes.subarray(TIME_BYTES)
    return this.#keys.some((key) =>
      this.#crypto.equal(mac, this.#hmac(key, client, seconds, features).subarray(0, mac.length)),
    )
  }

  #behindCookie(features: number): Uint8Array {
    let text = this.#withCookie.get(features)
    if (!text) {
      text = new TextEncoder().encode(nonceCookie(features).padEnd(COOKIE_CHARACTERS + CHARACTERS.withCookie))
      this.#withCookie.set(features, text)
    }
    return text
  }

  #hmac(key: Uint8Array, client: TransportAddress, seconds: number, features: number): Uint8Array {
    const input = this.#input
    writeUint32(input, 0, seconds)
    input[4] = client.family | (features << 4)
    writeUint32(input, 5, client.w0)
    writeUint32(input, 9, client.w1)
    writeUint32(input, 13, client.w2)
    writeUint32(input, 17, client.w3)
    writeUint16(input, 21, client.port)
    return this.#crypto.hmacSha256(key, input)
  }
}

/** So many characters of base64, bits first: what is left over at the end is cut off. */
function encode(bytes: Uint8Array, into: Uint8Array, at: number, characters: number): void {
  let bits = 0
  let count = 0
  let next = 0
  for (let i = 0; i < characters; i++) {
    if (count < 6) {
      bits = ((bits << 8) | (bytes[next++] ?? 0)) & 0xffff
      count += 8
    }
    count -= 6
    into[at + i] = BASE64_CODES[(bits >>> count) & 0x3f]!
  }
}

/** The bytes of a nonce behind its cookie, which must be the one that these features have. */
function decode(nonce: string, features: number): Uint8Array | undefined {
  const form = features === 0 ? 'plain' : 'withCookie'
  const cookie = features === 0 ? '' : nonceCookie(features)
  if (nonce.length !== cookie.length + CHARACTERS[form] || !nonce.startsWith(cookie)) return undefined
  const bytes = new Uint8Array(TIME_BYTES + MAC_BYTES[form])
  let bits = 0
  let count = 0
  let at = 0
  for (let i = cookie.length; i < nonce.length; i++) {
    const value = BASE64_VALUES[nonce.charCodeAt(i)] ?? NOT_BASE64
    if (value === NOT_BASE64) return undefined
    bits = ((bits << 6) | value) & 0xffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes[at++] = bits >>> count
  }
  return bytes
}
