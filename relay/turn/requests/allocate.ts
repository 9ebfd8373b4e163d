import type { AddressFamily } from '../../stun/address.ts'
import { ATTRIBUTE, TRANSPORT_PROTOCOL } from '../../stun/attribute-types.ts'
import { readFirstByte } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import type { AllocationOwner } from '../allocation.ts'
import type { RelayTransport } from '../contract.ts'
import type { TurnCore } from '../core.ts'
import { drainRefusal } from '../drain.ts'
import type { PortChoice } from '../lifecycle.ts'
import { wantsTicket } from '../mobility.ts'
import { type Outcome, type Refusal, refuse, SILENCE } from '../outcome.ts'
import { isSameUser } from '../owner.ts'
import type { AuthenticRequest, RequestHandler } from '../request.ts'
import { TOKEN_BYTES } from '../reservations.ts'
import { readFamily } from './address-family.ts'
import { writeAllocateSuccess } from './allocate-success.ts'
import { tcpRefusal } from './allocate-tcp.ts'
import { grantLifetime, requestedLifetime } from './lifetime.ts'

/** Allocate: the checks of RFC 8656 §7.2, in its order; the answer follows when the relay sockets are bound. */
export const allocate: RequestHandler = {
  needs: 'credentials',
  handle({ core, lifecycle }, request): Outcome {
    const { reader, allocation, now } = request
    if (allocation) return answerAgain(core, request)
    const wish = readWish(core, request)
    if ('kind' in wish) return wish
    const refusal = lifecycle.begin(
      {
        ...wish,
        link: request.from,
        client: request.client,
        owner: request.owner,
        transaction: {
          id0: reader.id0,
          id1: reader.id1,
          id2: reader.id2,
          hasFingerprint: reader.hasFingerprint,
        },
      },
      now,
    )
    return refusal ?? SILENCE
  },
}

const RELAY_TRANSPORTS: ReadonlyMap<number, RelayTransport> = new Map([
  [TRANSPORT_PROTOCOL.Udp, 'udp'],
  [TRANSPORT_PROTOCOL.Tcp, 'tcp'],
])

interface Wish {
  readonly families: readonly AddressFamily[]
  readonly port: PortChoice
  readonly lifetimeSeconds: number
  readonly transport: RelayTransport
  readonly dontFragment: boolean
  readonly mobile: boolean
}

/** A retransmission gets the same success, once there is one; another Allocate on the 5-tuple is a mismatch. */
function answerAgain(core: TurnCore, { allocation, reader, owner, now }: AuthenticRequest): Outcome {
  if (!allocation?.isMadeBy(reader) || !isSameUser(allocation.owner, owner, true)) {
    return refuse('allocation-exists')
  }
  if (!allocation.live) return SILENCE
  return { kind: 'success', attributes: (writer) => writeAllocateSuccess(core, writer, allocation, now) }
}

function readWish(core: TurnCore, request: AuthenticRequest): Wish | Refusal {
  const { reader } = request
  const requested = reader.find(ATTRIBUTE.RequestedTransport)
  const protocol = requested < 0 ? undefined : readFirstByte(reader, requested)
  if (protocol === undefined) return refuse('bad-request')
  const transport = RELAY_TRANSPORTS.get(protocol)
  if (!transport) return refuse('unsupported-transport')
  const unfit = transport === 'tcp' ? tcpRefusal(core, request) : undefined
  if (unfit) return unfit
  const dontFragment = reader.find(ATTRIBUTE.DontFragment)
  if (dontFragment >= 0 && reader.valueLength(dontFragment) !== 0) return refuse('bad-request')
  const port = readPortChoice(core, request)
  if (typeof port === 'object' && 'kind' in port) return port
  const families = readFamilies(core, request)
  if ('kind' in families) return families
  const lifetime = requestedLifetime(reader)
  if (Number.isNaN(lifetime)) return refuse('bad-request')
  const mobile = wantsTicket(core, reader)
  if (typeof mobile === 'object') return mobile
  const lifetimeSeconds = grantLifetime(core, request.owner, lifetime, request.now)
  if (lifetimeSeconds < 0) return refuse('expired-credential')
  const barred = policyRefusal(core, request) ?? drainRefusal(core, request)
  if (barred) return barred
  return {
    families,
    port,
    lifetimeSeconds,
    transport,
    dontFragment: dontFragment >= 0,
    mobile,
  }
}

/** A credential that names a peer policy is good for nothing on a relay without it. */
function policyRefusal({ policies }: TurnCore, { owner }: AuthenticRequest): Refusal | undefined {
  const name = owner.claims?.peerPolicy
  return name === undefined || policies.has(name) ? undefined : refuse('unknown-peer-policy')
}

/** RESERVATION-TOKEN and EVEN-PORT (RFC 8656 §7.2, steps 5 and 8). */
function readPortChoice(core: TurnCore, { reader, owner }: AuthenticRequest): PortChoice | Refusal {
  const token = reader.find(ATTRIBUTE.ReservationToken)
  const even = reader.find(ATTRIBUTE.EvenPort)
  if (token >= 0) return redeem(core, reader, token, owner)
  if (even < 0) return 'any'
  if (reader.valueLength(even) !== 1) return refuse('bad-request')
  const reserve = (reader.buffer[reader.valueOffset(even)]! & 0x80) !== 0
  if (!reserve) return 'even'
  return reader.has(ATTRIBUTE.AdditionalAddressFamily) ? refuse('bad-request') : 'even-pair'
}

const EXCLUDED_BY_TOKEN = [
  ATTRIBUTE.EvenPort,
  ATTRIBUTE.RequestedAddressFamily,
  ATTRIBUTE.AdditionalAddressFamily,
] as const

function redeem(
  core: TurnCore,
  reader: StunReader,
  token: number,
  owner: AllocationOwner,
): PortChoice | Refusal {
  if (reader.valueLength(token) !== TOKEN_BYTES) return refuse('bad-request')
  if (EXCLUDED_BY_TOKEN.some((attribute) => reader.has(attribute))) return refuse('bad-request')
  const reservation = core.reservations.find(reader.value(token))
  if (!reservation) return refuse('no-reservation')
  const theirs = reservation.owner.user === owner.user || isSameUser(reservation.owner, owner, true)
  return theirs ? reservation : refuse('no-reservation')
}

/** REQUESTED-ADDRESS-FAMILY and ADDITIONAL-ADDRESS-FAMILY (RFC 8656 §7.2, steps 6, 7 and 9). */
function readFamilies(
  core: TurnCore,
  { reader, from }: AuthenticRequest,
): readonly AddressFamily[] | Refusal {
  const requested = readFamily(reader, ATTRIBUTE.RequestedAddressFamily)
  const additional = readFamily(reader, ATTRIBUTE.AdditionalAddressFamily)
  if (requested === 'malformed') return refuse('bad-request')
  if (additional !== 'absent')
    return requested === 'absent' && additional === 6 ? [4, 6] : refuse('bad-request')
  if (requested === 'unknown') return refuse('unsupported-family')
  const family = requested === 'absent' ? defaultFamily(core, from.local.family) : requested
  return hasFamily(core, family) ? [family] : refuse('unsupported-family')
}

/** Browsers ask for no family, so an IPv6 listener gives IPv6 where the relay has it; otherwise IPv4. */
function defaultFamily(core: TurnCore, listener: AddressFamily): AddressFamily {
  return hasFamily(core, listener) ? listener : 4
}

function hasFamily({ addresses }: TurnCore, family: AddressFamily): boolean {
  return addresses.some((address) => address.advertise.family === family)
}
