import type { TransportAddress } from '../stun/address.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { readUint32, writeUint16, writeUint32 } from '../stun/wire.ts'

const TIME_BYTES = 4
/** 88 bits; with the time they make 20 characters, so that a 401 stays small. */
const MAC_BYTES = 11
const NONCE_BYTES = TIME_BYTES + MAC_BYTES
const NONCE_CHARACTERS = 20
/** How far the clocks of two relays of a fleet may differ. */
const CLOCK_SKEW_SECONDS = 60
/** Time, family, IP, port. */
const INPUT_BYTES = TIME_BYTES + 1 + 16 + 2

/**
 * Stateless nonces (RFC 8489 §9.2.4): the time and a MAC of the time and the client's address. Every relay
 * with the same keys accepts them: a nonce from one relay must verify on the next, as browsers give up on 438
 * to Allocate. The first key signs, all verify.
 */
export class NonceMint {
  readonly #crypto: StunCrypto
  readonly #keys: readonly Uint8Array[]
  readonly #lifetimeSeconds: number
  readonly #input = new Uint8Array(INPUT_BYTES)

  constructor(crypto: StunCrypto, keys: readonly Uint8Array[], lifetimeSeconds: number) {
    this.#crypto = crypto
    this.#keys = keys
    this.#lifetimeSeconds = lifetimeSeconds
  }

  issue(client: TransportAddress, unixSeconds: number): string {
    const nonce = new Uint8Array(NONCE_BYTES)
    const seconds = Math.floor(unixSeconds)
    writeUint32(nonce, 0, seconds)
    nonce.set(this.#mac(this.#keys[0]!, client, seconds), TIME_BYTES)
    return btoa(String.fromCharCode(...nonce))
  }

  /**
   * Whether a nonce was issued to this client by this fleet, and not too long ago. `proven` is a nonce that this
   * mint has verified for this client before: its MAC need not be computed again.
   */
  verify(nonce: string, client: TransportAddress, unixSeconds: number, proven?: string): boolean {
    const bytes = decode(nonce)
    if (!bytes) return false
    const seconds = readUint32(bytes, 0)
    const age = unixSeconds - seconds
    if (age > this.#lifetimeSeconds || age < -CLOCK_SKEW_SECONDS) return false
    if (nonce === proven) return true
    const mac = bytes.subarray(TIME_BYTES)
    return this.#keys.some((key) => this.#crypto.equal(mac, this.#mac(key, client, seconds)))
  }

  #mac(key: Uint8Array, client: TransportAddress, seconds: number): Uint8Array {
    const input = this.#input
    writeUint32(input, 0, seconds)
    input[4] = client.family
    writeUint32(input, 5, client.w0)
    writeUint32(input, 9, client.w1)
    writeUint32(input, 13, client.w2)
    writeUint32(input, 17, client.w3)
    writeUint16(input, 21, client.port)
    return this.#crypto.hmacSha256(key, input).subarray(0, MAC_BYTES)
  }
}

function decode(nonce: string): Uint8Array | undefined {
  if (nonce.length !== NONCE_CHARACTERS) return undefined
  try {
    const text = atob(nonce)
    return text.length === NONCE_BYTES ? Uint8Array.from(text, (c) => c.charCodeAt(0)) : undefined
  } catch {
    return undefined
  }
}
