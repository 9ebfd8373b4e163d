import type { TransportAddress } from '../../stun/address.ts'
import type { Allocation } from '../allocation.ts'
import type { TurnCore } from '../core.ts'
import { type Refusal, refuse, refusePeer } from '../outcome.ts'
import { isPeerRefusal } from '../peer-policy.ts'

/**
 * Why an allocation may have no TCP connection with a peer, whoever opens it (RFC 6062 §5.2: "forbidden by local
 * policy"); undefined: it may. An allocation is no peer of itself.
 */
export function peerRefusal(
  { relaysTcp }: TurnCore,
  allocation: Allocation,
  peer: TransportAddress,
): Refusal | undefined {
  if (!relaysTcp) return refuse('tcp-off')
  const { policy } = allocation
  const verdict = policy.judge(peer)
  if (isPeerRefusal(verdict)) return refusePeer(verdict, peer)
  const isItself = allocation.relays.some(({ relayed }) => relayed.equals(peer))
  return isItself || !policy.admits(verdict, peer) ? refusePeer('peer-port', peer) : undefined
}

/**
 * Where to connect to for a peer: the relayed address of another client of this relay is reached at what is
 * bound, also where its public address is a NAT's that would not turn round.
 */
export function toReach({ table }: TurnCore, peer: TransportAddress): TransportAddress {
  const relay = table.relayAt(peer)
  return relay ? withPort(relay.address.bind, peer.port) : peer
}

/** Whom a connection is from: another client of this relay comes from its relayed address. */
export function asSeen({ table, addresses }: TurnCore, from: TransportAddress): TransportAddress {
  for (const { bind, advertise } of addresses) {
    const relayed = withPort(advertise, from.port)
    if (bind.sameIp(from) && table.relayAt(relayed)) return relayed
  }
  return from
}

function withPort(address: TransportAddress, port: number): TransportAddress {
  const copy = address.clone()
  copy.port = port
  return copy
}
