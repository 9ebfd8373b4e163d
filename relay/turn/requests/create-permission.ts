import { TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readXorAddress } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import { type Outcome, type Refusal, refuse, refusePeer, SUCCESS } from '../outcome.ts'
import { isPeerRefusal, type PeerVerdict } from '../peer-policy.ts'
import { refreshPermission, refuseNewPeers } from '../permissions.ts'
import type { AllocationRequest, HandlerContext, RequestHandler } from '../request.ts'

/** CreatePermission: every address or none (RFC 8656 §10.2). */
export const createPermission: RequestHandler = {
  needs: 'allocation',
  handle(context, request): Outcome {
    const peers = readPeers(request.reader)
    if (peers === undefined || peers.length === 0) return refuse('bad-request')
    const verdicts = peers.map((peer) => request.allocation.policy.judge(peer))
    const refusal = judge(request, peers, verdicts) ?? checkLimits(context, request, peers)
    if (refusal) return refusal
    peers.forEach((peer, i) => {
      refreshPermission(context, request, peer, verdicts[i]!)
    })
    context.core.offloading?.renew(request.allocation)
    return SUCCESS
  },
}

/** Every XOR-PEER-ADDRESS; undefined where one is malformed. */
function readPeers(reader: StunReader): TransportAddress[] | undefined {
  const peers: TransportAddress[] = []
  let index = reader.find(ATTRIBUTE.XorPeerAddress)
  while (index >= 0) {
    const peer = new TransportAddress()
    if (!readXorAddress(reader, index, peer)) return undefined
    peers.push(peer)
    index = reader.find(ATTRIBUTE.XorPeerAddress, index)
  }
  return peers
}

/** A forbidden peer is 403 whatever else is wrong with it: Firefox gives up on a relay that says 443 instead. */
function judge(
  { allocation }: AllocationRequest,
  peers: readonly TransportAddress[],
  verdicts: readonly PeerVerdict[],
): Refusal | undefined {
  for (const [i, verdict] of verdicts.entries())
    if (isPeerRefusal(verdict)) return refusePeer(verdict, peers[i]!)
  const reachable = peers.every((peer) => allocation.relayOf(peer.family) !== undefined)
  return reachable ? undefined : refuse('family-mismatch')
}

function checkLimits(
  context: HandlerContext,
  request: AllocationRequest,
  peers: readonly TransportAddress[],
): Refusal | undefined {
  const fresh = peers.filter(
    (peer, i) =>
      context.core.table.permission(request.allocation, peer) === undefined &&
      peers.findIndex((other) => other.sameIp(peer)) === i,
  )
  return refuseNewPeers(context, request, fresh.length)
}
