import type { AddressFamily, TransportAddress } from '../stun/address.ts'
import { parseAddress } from '../stun/address-text.ts'

const PREFIX = /^\d{1,3}$/

/** A block of addresses (RFC 4632), compared as one 32- or 128-bit number. */
export class Network {
  readonly family: AddressFamily
  readonly #base: readonly number[]
  readonly #masks: readonly number[]

  constructor(base: TransportAddress, prefixLength: number) {
    this.family = base.family
    const skip = base.family === 4 ? 96 : 0
    this.#masks = [0, 1, 2, 3].map((word) => wordMask(prefixLength + skip - word * 32))
    this.#base = words(base).map((value, word) => (value & this.#masks[word]!) >>> 0)
  }

  contains(address: TransportAddress): boolean {
    const [m0, m1, m2, m3] = this.#masks
    const [b0, b1, b2, b3] = this.#base
    return (
      address.family === this.family &&
      (address.w0 & m0!) >>> 0 === b0 &&
      (address.w1 & m1!) >>> 0 === b1 &&
      (address.w2 & m2!) >>> 0 === b2 &&
      (address.w3 & m3!) >>> 0 === b3
    )
  }
}

/** The network of `192.0.2.0/24`, `2001:db8::/32` or a single address; throws an Error that names the text. */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf('/')
  const base = parseAddress(slash < 0 ? text : text.slice(0, slash), 0)
  if (!base)
    throw new Error(
      `"${text}" is not an IP address or CIDR block; write it like 192.0.2.0/24 or 2001:db8::/32`,
    )
  const bits = base.family === 4 ? 32 : 128
  if (slash < 0) return new Network(base, bits)
  const prefix = text.slice(slash + 1)
  if (!PREFIX.test(prefix) || Number(prefix) > bits) {
    throw new Error(`"${text}" has no valid prefix length; it is a number from 0 to ${bits}`)
  }
  return new Network(base, Number(prefix))
}

function words(address: TransportAddress): number[] {
  return [address.w0, address.w1, address.w2, address.w3]
}

function wordMask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0
}
