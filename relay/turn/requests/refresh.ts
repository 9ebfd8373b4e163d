import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import type { RelaySocket } from '../allocation.ts'
import { move, writeTicket } from '../mobility.ts'
import { type Outcome, refuse } from '../outcome.ts'
import type { AllocationRequest, HandlerContext, RequestHandler } from '../request.ts'
import { readFamily } from './address-family.ts'
import { grantLifetime, requestedLifetime } from './lifetime.ts'

/** Refresh: extends an allocation, or ends it with a lifetime of zero (RFC 8656 §8.2). */
export const refresh: RequestHandler = {
  needs: 'allocation',
  handle(context, request): Outcome {
    const { reader, allocation } = request
    const family = readFamily(reader, ATTRIBUTE.RequestedAddressFamily)
    if (family === 'malformed') return refuse('bad-request')
    const relays = allocation.relays.filter((relay) => family === 'absent' || relay.family === family)
    if (relays.length === 0) return refuse('family-mismatch')
    const requested = requestedLifetime(reader)
    if (Number.isNaN(requested)) return refuse('bad-request')
    const moved = reader.has(ATTRIBUTE.MobilityTicket)
    const seconds = requested === 0 ? 0 : grantLifetime(context.core, request.owner, requested, request.now)
    if (seconds < 0) return refuse('expired-credential')
    const refusal =
      moved && seconds > 0 ? move(context.core, allocation, request.from, request.client) : undefined
    if (refusal) return refusal
    if (request.owner.token && request.owner !== allocation.owner) allocation.renew(request.owner)
    if (seconds === 0) endRelays(context, request, relays)
    else for (const relay of relays) extend(context, request, relay, seconds)
    context.core.offloading?.renew(allocation)
    tellRefreshed(context, request, seconds)
    return {
      kind: 'success',
      attributes: (writer) => {
        writer.addUint32(ATTRIBUTE.Lifetime, seconds)
        if (moved && seconds > 0) writeTicket(context.core, writer, allocation)
      },
    }
  },
}

/** An event for whoever reads events. */
function tellRefreshed(
  { core }: HandlerContext,
  { allocation, now }: AllocationRequest,
  lifetimeSeconds: number,
): void {
  if (!core.observed || lifetimeSeconds === 0) return
  core.outputs.push({
    kind: 'allocation-refreshed',
    at: now,
    allocation: allocation.event(),
    lifetimeSeconds,
    ...allocation.traffic(now),
  })
}

function endRelays(
  { lifecycle }: HandlerContext,
  { allocation, now }: AllocationRequest,
  relays: readonly RelaySocket[],
): void {
  if (relays.length === allocation.relays.length) lifecycle.end(allocation, 'refresh-zero', now)
  else for (const relay of relays) lifecycle.endRelay(relay, now)
}

function extend(
  { core, lifecycle }: HandlerContext,
  { allocation, now }: AllocationRequest,
  relay: RelaySocket,
  seconds: number,
): void {
  relay.expiresAt = now + seconds * 1000
  lifecycle.arm(allocation, relay.expiresAt + core.graceMs, now)
}
