import type { TransportAddress } from '../../../stun/address.ts'
import { nodeCrypto } from '../../node-crypto.ts'
import { RANDOM_BYTES } from './client-hello.ts'

/** A cookie is good for as long as its secret and the one after it are in use. */
const SECRET_LIFETIME_MS = 60_000
const SECRET_BYTES = 32
export const COOKIE_BYTES = 20
/** Family, port, address, and the client's random bytes. */
const INPUT_BYTES = 1 + 2 + 16 + RANDOM_BYTES

/**
 * The cookies that show that a client receives what is sent to its address (RFC 6347 §4.2.1): an HMAC over the
 * address and the client's random bytes, so that nothing is kept for those who have shown nothing.
 */
export class HelloCookies {
  readonly #input = new Uint8Array(INPUT_BYTES)
  readonly #view = new DataView(this.#input.buffer)
  readonly #offered = new Uint8Array(COOKIE_BYTES)
  #secret = nodeCrypto.randomBytes(SECRET_BYTES)
  #before: readonly Uint8Array[] = []
  #since: number

  constructor(now: number) {
    this.#since = now
  }

  /** What the cookies of now are made with. */
  get secret(): Uint8Array {
    return this.#secret
  }

  /** Takes the cookies of another relay too, for the clients that it has sent back with one. */
  accept(secrets: readonly Uint8Array[]): void {
    this.#before = secrets.map((secret) => Uint8Array.from(secret))
  }

  /** The cookie for a client whose random bytes are at `random`. */
  make(client: TransportAddress, buffer: Uint8Array, random: number, now: number): Uint8Array {
    this.#rotate(now)
    return this.#cookie(this.#secret, client, buffer, random)
  }

  /** Is what lies at `cookie` one that `make` gave to this client not long ago? */
  verify(
    client: TransportAddress,
    buffer: Uint8Array,
    random: number,
    cookie: number,
    length: number,
    now: number,
  ): boolean {
    if (length !== COOKIE_BYTES) return false
    this.#rotate(now)
    for (let i = 0; i < COOKIE_BYTES; i++) this.#offered[i] = buffer[cookie + i]!
    return [this.#secret, ...this.#before].some((secret) =>
      nodeCrypto.equal(this.#cookie(secret, client, buffer, random), this.#offered),
    )
  }

  #cookie(secret: Uint8Array, client: TransportAddress, buffer: Uint8Array, random: number): Uint8Array {
    const view = this.#view
    view.setUint8(0, client.family)
    view.setUint16(1, client.port)
    view.setUint32(3, client.w0)
    view.setUint32(7, client.w1)
    view.setUint32(11, client.w2)
    view.setUint32(15, client.w3)
    for (let i = 0; i < RANDOM_BYTES; i++) this.#input[19 + i] = buffer[random + i]!
    return nodeCrypto.hmacSha256(secret, this.#input).subarray(0, COOKIE_BYTES)
  }

  #rotate(now: number): void {
    const age = now - this.#since
    if (age < SECRET_LIFETIME_MS) return
    this.#before = age < 2 * SECRET_LIFETIME_MS ? [this.#secret] : []
    this.#secret = nodeCrypto.randomBytes(SECRET_BYTES)
    this.#since = now
  }
}
