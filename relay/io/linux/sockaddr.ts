import type { TransportAddress } from '../../stun/address.ts'
import { AF_INET, AF_INET6 } from './constants.ts'
import type { Memory } from './memory.ts'

/** Room for a sockaddr_in6 (28 bytes), the larger of the two. */
export const SOCKADDR_BYTES = 32
/** The length of a sockaddr of IPv4. */
export const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28

/** Writes an address as a sockaddr at `at`, a multiple of four; returns its length. */
export function writeSockaddr({ u32 }: Memory, at: number, address: TransportAddress): number {
  const word = at >> 2
  const port = swapped16(address.port) << 16
  if (address.family === 4) {
    u32[word] = port | AF_INET
    u32[word + 1] = swapped32(address.w3)
    return SOCKADDR_IN_BYTES
  }
  u32[word] = port | AF_INET6
  u32[word + 1] = 0
  u32[word + 2] = swapped32(address.w0)
  u32[word + 3] = swapped32(address.w1)
  u32[word + 4] = swapped32(address.w2)
  u32[word + 5] = swapped32(address.w3)
  u32[word + 6] = 0
  return SOCKADDR_IN6_BYTES
}

/** Reads the sockaddr at `at` into an address; false where it is neither IPv4 nor IPv6. */
export function readSockaddr({ u32 }: Memory, at: number, into: TransportAddress): boolean {
  const word = at >> 2
  const head = u32[word]!
  const port = swapped16(head >>> 16)
  switch (head & 0xffff) {
    case AF_INET:
      into.set4(swapped32(u32[word + 1]!), port)
      return true
    case AF_INET6:
      into.set6(
        swapped32(u32[word + 2]!),
        swapped32(u32[word + 3]!),
        swapped32(u32[word + 4]!),
        swapped32(u32[word + 5]!),
        port,
      )
      return true
    default:
      return false
  }
}

/** Do two sockaddrs written by `writeSockaddr` name the same destination? */
export function sameSockaddr({ u32 }: Memory, one: number, other: number): boolean {
  const a = one >> 2
  const b = other >> 2
  if (u32[a] !== u32[b]) return false
  if ((u32[a]! & 0xffff) === AF_INET) return u32[a + 1] === u32[b + 1]
  return (
    u32[a + 5] === u32[b + 5] &&
    u32[a + 4] === u32[b + 4] &&
    u32[a + 3] === u32[b + 3] &&
    u32[a + 2] === u32[b + 2]
  )
}

function swapped16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8)
}

function swapped32(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)
}
