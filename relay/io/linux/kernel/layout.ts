import type { AddressFamily, TransportAddress } from '../../../stun/address.ts'

/** The structures that turn.bpf.c shares with the relay: sizes and offsets in bytes, names as there. */
export const ALLOCATION = {
  bytes: 256,
  client: 0,
  listener: 16,
  clientPort: 32,
  listenerPort: 34,
  family: 36,
  dontFragment: 37,
  hop: 40,
  byteCost: 64,
  packetCost: 72,
  bytesFullAt: 80,
  packetsFullAt: 88,
  rateDrops: 96,
  fromClient: 128,
  fromPeer: 192,
} as const

export const PERMISSION = {
  bytes: 128,
  until: 0,
  allocation: 8,
  family: 12,
  anyPort: 13,
  peer: 16,
  relay: 32,
  relayPort: 48,
  hop: 52,
} as const

export const CHANNEL = { bytes: 32, until: 0, permission: 8, number: 12, port: 14 } as const
export const HOP = { bytes: 24, interfaceIndex: 0, mtu: 4, family: 6, next: 8 } as const
export const TOTALS = { packets: 0, bytes: 8, frameBytes: 16 } as const
export const LEASE = { bytes: 16, until: 0, withoutDscp: 8 } as const
export const SCRATCH = { bytes: 2096 } as const

/** Keys of the hash maps. */
export const KEY_BYTES = { client: 36, relay: 20, peer: 20, number: 40, pair: 36 } as const

/** The kernel's numbers for the families of addresses. */
export const FAMILY_NUMBER: Readonly<Record<AddressFamily, number>> = { 4: 2, 6: 10 }

/** Writes an address as the program reads it: 16 bytes, IPv4 as ::ffff:a.b.c.d. */
export function writeAddress(view: DataView, at: number, { family, w0, w1, w2, w3 }: TransportAddress): void {
  view.setUint32(at, w0)
  view.setUint32(at + 4, w1)
  view.setUint32(at + 8, family === 4 ? 0xffff : w2)
  view.setUint32(at + 12, w3)
}
