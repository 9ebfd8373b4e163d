import { TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readChannelNumber, readXorAddress } from '../../stun/attributes.ts'
import { isChannelNumber } from '../../stun/channel-data.ts'
import type { StunReader } from '../../stun/reader.ts'
import type { Channel } from '../allocation.ts'
import { type Outcome, type Refusal, refuse, refusePeer, SUCCESS } from '../outcome.ts'
import { isPeerRefusal, type PeerVerdict } from '../peer-policy.ts'
import { refreshPermission, refuseNewPeers } from '../permissions.ts'
import type { AllocationRequest, HandlerContext, RequestHandler } from '../request.ts'

/** ChannelBind: binds or refreshes a channel and the permission under it (RFC 8656 §12.2). */
export const channelBind: RequestHandler = {
  needs: 'allocation',
  handle(context, request): Outcome {
    // A TCP allocation has data connections instead (RFC 6062 §3).
    if (request.allocation.transport === 'tcp') return refuse('relay-transport')
    const wish = readWish(request.reader)
    if (!wish) return refuse('bad-request')
    if (!isChannelNumber(wish.number)) return refuse('channel-number')
    const { core } = context
    const { allocation } = request
    const byNumber = current(context, request, core.table.channel(allocation, wish.number))
    const byPeer = current(context, request, core.table.channelTo(allocation, wish.peer))
    if (byNumber !== byPeer) return refuse('channel-conflict')
    const verdict = allocation.policy.judge(wish.peer)
    return checkPeer(request, wish, verdict) ?? bind(context, request, wish, verdict, byNumber)
  },
}

interface Wish {
  readonly number: number
  readonly peer: TransportAddress
}

function readWish(reader: StunReader): Wish | undefined {
  const channel = reader.find(ATTRIBUTE.ChannelNumber)
  const address = reader.find(ATTRIBUTE.XorPeerAddress)
  if (channel < 0 || address < 0) return undefined
  const number = readChannelNumber(reader, channel)
  const peer = new TransportAddress()
  if (number === undefined || !readXorAddress(reader, address, peer)) return undefined
  return { number, peer }
}

/** A binding that has expired no longer stands in the way. */
function current(
  { core }: HandlerContext,
  { allocation, now }: AllocationRequest,
  channel: Channel | undefined,
): Channel | undefined {
  if (!channel || channel.expiresAt > now) return channel
  core.table.removeChannel(allocation, channel)
  return undefined
}

function checkPeer(
  { allocation }: AllocationRequest,
  { peer }: Wish,
  verdict: PeerVerdict,
): Refusal | undefined {
  if (isPeerRefusal(verdict)) return refusePeer(verdict, peer)
  if (!allocation.policy.admits(verdict, peer)) return refusePeer('peer-port', peer)
  return allocation.relayOf(peer.family) ? undefined : refuse('family-mismatch')
}

function bind(
  context: HandlerContext,
  request: AllocationRequest,
  { number, peer }: Wish,
  verdict: PeerVerdict,
  bound: Channel | undefined,
): Outcome {
  const { core, lifecycle } = context
  const { allocation, now } = request
  const { limits } = core.config
  if (!bound && allocation.channels.length >= limits.channelsPerAllocation) return refuse('channel-limit')
  const known = core.table.permission(allocation, peer) !== undefined
  const refusal = refuseNewPeers(context, request, known ? 0 : 1)
  if (refusal) return refusal
  const permission = refreshPermission(context, request, peer, verdict)
  const channel = bound ?? (permission && core.table.addChannel(allocation, number, peer, permission))
  if (!channel) return refuse('channel-limit')
  channel.expiresAt = now + limits.channelLifetimeSeconds * 1000
  lifecycle.arm(allocation, channel.expiresAt, now)
  core.offloading?.renew(allocation)
  return SUCCESS
}
