import { TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readXorAddress } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import { arrive, isNext } from '../mobility.ts'
import { type Outcome, type Refusal, refuse, SILENCE } from '../outcome.ts'
import { withinNewPeerRate } from '../permissions.ts'
import type { AllocationRequest, HandlerContext, RequestHandler } from '../request.ts'
import { peerRefusal, toReach } from '../tcp/tcp-peer.ts'

/** Connect: opens a TCP connection to a peer (RFC 6062 §5.2); the answer follows when it is there or has failed. */
export const connect: RequestHandler = {
  needs: 'allocation',
  handle(context, request): Outcome {
    const { core } = context
    const { reader, allocation, from, client, now } = request
    const peer = readPeer(reader)
    if (!peer) return refuse('bad-request')
    const refusal = check(context, request, peer)
    if (refusal) return refusal
    const relay = allocation.relayOf(peer.family)
    if (!relay) return refuse('family-mismatch')
    if (core.connections.isFull(allocation, false)) return refuse('connection-limit')
    if (!withinNewPeerRate(core, allocation, 1, now)) return refuse('new-peer-rate')
    // A client that moves is answered where it is (RFC 8016 §3.2.2).
    if (isNext(allocation, from.id, client)) arrive(core, allocation)
    const { id0, id1, id2, hasFingerprint } = reader
    const connection = core.connections.add(allocation, peer, { id0, id1, id2, hasFingerprint }, now)
    core.outputs.push({
      kind: 'connect-peer',
      connection: connection.id,
      relay: relay.id,
      to: toReach(core, peer),
    })
    return SILENCE
  },
}

function readPeer(reader: StunReader): TransportAddress | undefined {
  const index = reader.find(ATTRIBUTE.XorPeerAddress)
  const peer = new TransportAddress()
  return index >= 0 && readXorAddress(reader, index, peer) ? peer : undefined
}

function check(
  { core }: HandlerContext,
  { allocation }: AllocationRequest,
  peer: TransportAddress,
): Refusal | undefined {
  if (allocation.transport !== 'tcp') return refuse('relay-transport')
  if (core.connections.between(allocation, peer)) return refuse('connection-exists')
  return peerRefusal(core, allocation, peer)
}
