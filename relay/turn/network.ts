import { type AddressFamily, TransportAddress } from '../stun/address.ts'
import { parseAddress } from '../stun/address-text.ts'

const PREFIX = /^\d{1,3}$/

/** A block of addresses (RFC 4632), compared as one 32- or 128-bit number. */
export class Network {
  readonly family: AddressFamily
  readonly base: TransportAddress
  readonly prefixLength: number
  readonly #base: TransportAddress
  readonly #mask: TransportAddress

  constructor(base: TransportAddress, prefixLength: number) {
    this.family = base.family
    this.base = base
    this.prefixLength = prefixLength
    const skip = base.family === 4 ? 96 : 0
    const [m0, m1, m2, m3] = [0, 1, 2, 3].map((word) => wordMask(prefixLength + skip - word * 32))
    this.#mask = new TransportAddress().set6(m0!, m1!, m2!, m3!, 0)
    this.#base = base.clone()
  }

  contains(address: TransportAddress): boolean {
    const base = this.#base
    const mask = this.#mask
    return (
      address.family === this.family &&
      ((address.w3 ^ base.w3) & mask.w3) === 0 &&
      ((address.w2 ^ base.w2) & mask.w2) === 0 &&
      ((address.w1 ^ base.w1) & mask.w1) === 0 &&
      ((address.w0 ^ base.w0) & mask.w0) === 0
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

function wordMask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0
}
