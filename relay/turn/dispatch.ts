import type { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import { authenticate } from './authenticate.ts'
import type { Link } from './contract.ts'
import type { TurnCore } from './core.ts'
import { redirection } from './drain.ts'
import { DISCOVERY_ATTRIBUTES } from './known-attributes.ts'
import { loopNamed, passOn } from './loops.ts'
import { isActive, readTicket } from './mobility.ts'
import { type Outcome, refuse, refuseUnknown } from './outcome.ts'
import { isSameUser } from './owner.ts'
import { chooseRealm } from './realm-choice.ts'
import type {
  AllocationRequest,
  AuthenticRequest,
  HandlerContext,
  Request,
  RequestHandler,
} from './request.ts'
import { allocate } from './requests/allocate.ts'
import { asksForTcp } from './requests/allocate-tcp.ts'
import { binding } from './requests/binding.ts'
import { channelBind } from './requests/channel-bind.ts'
import { connect } from './requests/connect.ts'
import { connectionBind } from './requests/connection-bind.ts'
import { createPermission } from './requests/create-permission.ts'
import { refresh } from './requests/refresh.ts'
import type { Responder } from './responder.ts'

/** Longest request that is looked at: the integrity of each is worked out before anybody is known. */
const REQUEST_BYTES_MAX = 4096

const HANDLERS: ReadonlyMap<number, RequestHandler> = new Map([
  [METHOD.Binding, binding],
  [METHOD.Allocate, allocate],
  [METHOD.Refresh, refresh],
  [METHOD.CreatePermission, createPermission],
  [METHOD.ChannelBind, channelBind],
  [METHOD.Connect, connect],
  [METHOD.ConnectionBind, connectionBind],
])

/** Handles the request in `core.reader`: base checks, then the method's own rules, then the answer. */
export function dispatch(
  context: HandlerContext,
  responder: Responder,
  link: Link,
  from: TransportAddress,
  now: number,
): void {
  const { core } = context
  const { reader } = core
  if (reader.length > REQUEST_BYTES_MAX) {
    core.counters.drops.oversized++
    return
  }
  const handler = HANDLERS.get(reader.method)
  if (!handler) {
    core.counters.drops.unsupported++
    return
  }
  if (!mayAnswer(from)) {
    core.counters.drops['bad-source']++
    return
  }
  const client = from.clone()
  const ticket = readTicket(core, link.id, from)
  const allocation = ticket
    ? ticket.allocation
    : (core.connections.named()?.allocation ?? core.table.find(link.id, from))
  const request: Request = {
    reader,
    link: link.id,
    from: link,
    client,
    now,
    realm: chooseRealm(core.realms, reader, link, allocation),
    allocation,
    ticketRefusal: ticket?.refusal,
    loop: loopNamed(core, link, from, ticket?.loop),
    charged: false,
    owner: undefined,
  }
  responder.respond(request, decide(context, handler, request))
}

function decide(context: HandlerContext, handler: RequestHandler, request: Request): Outcome {
  const { core } = context
  const { reader } = request
  if (request.loop !== undefined) return passOn(core, request, request.loop)
  if (handler.needs !== 'nothing') {
    // Before credentials: a nonce of this relay would be of no use to the client that goes to the next one.
    const isFirst = !request.allocation && !reader.hasIntegrity && !reader.hasIntegritySha256
    if (reader.method === METHOD.Allocate && isFirst) {
      const elsewhere = redirection(core, request)
      if (elsewhere) return elsewhere
    }
    const refusal = admit(core, request)
    if (refusal) return refusal
  }
  const unknown = reader.unknownRequired(knownTo(core, request))
  if (unknown.length > 0) return refuseUnknown(unknown)
  if (handler.needs === 'nothing') return handler.handle(context, request)
  if (handler.needs === 'credentials') return handler.handle(context, request as AuthenticRequest)
  return checkAllocation(request as AuthenticRequest) ?? handler.handle(context, request as AllocationRequest)
}

/** Finds out whose request it is. */
function admit(core: TurnCore, request: Request): Outcome | undefined {
  const owner = authenticate(core, request)
  if ('kind' in owner) return owner
  request.owner = owner
  return core.revocations.includes(owner, core.unixSeconds(request.now)) ? refuse('revoked') : undefined
}

/**
 * The attributes of RFC 5780 are for Binding, and for UDP: a stream is never answered by another way (§3). Beside
 * TCP, DONT-FRAGMENT is known to be out of place (RFC 6062 §5.1).
 */
function knownTo(core: TurnCore, { reader, from }: Request): ReadonlySet<number> {
  if (core.relaysTcp && asksForTcp(reader)) return new Set([...core.knownAttributes, ATTRIBUTE.DontFragment])
  const discovers = reader.method === METHOD.Binding && from.transport === 'udp'
  return discovers && core.natDiscovery.siteOf(from) ? DISCOVERY_ATTRIBUTES : core.knownAttributes
}

/** RFC 8656 §5: a request but Allocate needs an allocation, and the user who made it. */
function checkAllocation(request: AuthenticRequest): Outcome | undefined {
  const { allocation, owner, ticketRefusal } = request
  if (ticketRefusal) return ticketRefusal
  if (!allocation?.live) return refuse('no-allocation')
  const onFiveTuple = isActive(allocation, request.link, request.client)
  return isSameUser(allocation.owner, owner, onFiveTuple) ? undefined : refuse('wrong-user')
}

/** Whether an answer could go to this address: a forged source must not make the relay send to port 0 or to many. */
function mayAnswer({ family, w0, w1, w2, w3, port }: TransportAddress): boolean {
  if (port === 0) return false
  if (family === 4) return w3 >>> 24 !== 0 && w3 >>> 0 < 0xe0000000
  return w0 >>> 24 !== 0xff && (w0 | w1 | w2 | w3) !== 0
}
