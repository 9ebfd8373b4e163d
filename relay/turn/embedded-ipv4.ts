import { TransportAddress } from '../stun/address.ts'

const LOW16 = 0xffff

/** Reused: two IPv4 addresses are the most that one IPv6 address carries. */
const first = new TransportAddress()
const second = new TransportAddress()
const NONE: readonly TransportAddress[] = []
const ONE: readonly TransportAddress[] = [first]
const TWO: readonly TransportAddress[] = [first, second]

/**
 * The IPv4 addresses that an IPv6 address may stand for, so that a policy on IPv4 cannot be gone round:
 * mapped, compatible and translated (RFC 4291 §2.5.5, RFC 7915), 6to4 (RFC 3056), NAT64 (RFC 6052, RFC 8215),
 * Teredo server and client (RFC 4380) and ISATAP (RFC 5214). Valid until the next call.
 */
export function embeddedIpv4(address: TransportAddress): readonly TransportAddress[] {
  if (address.family === 4) return NONE
  const { w0, w1, w2, w3 } = address
  if (w0 === 0 && w1 === 0 && (w2 === 0 || w2 === LOW16 || w2 >>> 0 === 0xffff0000)) return one(w3)
  if (w0 >>> 16 === 0x2002) return one(((w0 & LOW16) << 16) | (w1 >>> 16))
  if (w0 === 0x0064ff9b) return nat64(w1, w2, w3)
  if (w0 === 0x20010000) return two(w1, ~w3)
  if (w2 === 0x00005efe || w2 === 0x02005efe) return one(w3)
  return NONE
}

/** 64:ff9b::/96 and the forms that a local prefix of 64:ff9b:1::/48 may have (RFC 6052 §2.2). */
function nat64(w1: number, w2: number, w3: number): readonly TransportAddress[] {
  if ((w1 & LOW16) === 0 && w2 === 0) return one(w3)
  const inside = ((w1 & LOW16) << 16) | ((w2 >>> 8) & LOW16)
  return w3 === 0 ? one(inside) : two(inside, w3)
}

function one(ip: number): readonly TransportAddress[] {
  first.set4(ip, 0)
  return ONE
}

function two(ip: number, other: number): readonly TransportAddress[] {
  first.set4(ip, 0)
  second.set4(other, 0)
  return TWO
}
