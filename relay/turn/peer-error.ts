import type { AddressFamily, TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import type { Allocation } from './allocation.ts'
import type { TurnCore } from './core.ts'
import type { DropReason } from './drops.ts'

/** ICMP types that tell a client about its data (RFC 8656 §11.5). */
const TYPES: Readonly<Record<AddressFamily, readonly number[]>> = { 4: [3, 11], 6: [1, 2, 3] }
const TRANSACTION_ID_BYTES = 12

/** An ICMP error for what a relay socket sent. */
export interface PeerError {
  readonly relay: number
  /** Where it was sent to; port 0 where that is not known. */
  readonly peer: TransportAddress
  readonly icmpType: number
  readonly icmpCode: number
  readonly mtu: number
  readonly now: number
}

/** Tells the client, where it has a permission for the peer's IP, by a Data indication with an ICMP attribute (RFC 8656 §11.5). */
export function reportPeerError(core: TurnCore, error: PeerError): void {
  const allocation = core.table.relay(error.relay)?.allocation
  const drop = allocation ? reasonToDrop(core, allocation, error) : 'no-allocation'
  if (!allocation || drop) {
    core.counters.drops[drop ?? 'no-allocation']++
    return
  }
  const { peer, icmpType, icmpCode } = error
  const bytes = core.writer
    .start(METHOD.Data, CLASS.Indication, core.crypto.randomBytes(TRANSACTION_ID_BYTES))
    .addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
    .addIcmp(icmpType, icmpCode, namesMtu(error) ? error.mtu : 0)
    .finish()
  const sent = core.outputs.push({
    kind: 'transmit',
    link: allocation.link.id,
    to: allocation.client,
    bytes,
  })
  if (!sent) core.counters.drops['output-queue-full']++
}

/** The peer's IP counts, its port does not. */
function reasonToDrop(
  { table, config }: TurnCore,
  allocation: Allocation,
  { peer, icmpType, now }: PeerError,
): DropReason | undefined {
  if (!TYPES[peer.family].includes(icmpType)) return 'unsupported'
  const permission = table.permission(allocation, peer)
  if (!permission || permission.expiresAt <= now) return 'no-permission'
  const { packetsPerSecondPerAllocation } = config.limits
  return allocation.packetBucket.take(1, packetsPerSecondPerAllocation, now) ? undefined : 'rate-limit'
}

/** "Packet too big", or "fragmentation needed and DF set" (RFC 8656 §18.13). */
function namesMtu({ peer, icmpType, icmpCode }: PeerError): boolean {
  return peer.family === 6 ? icmpType === 2 : icmpType === 3 && icmpCode === 4
}
