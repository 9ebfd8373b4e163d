import { ATTRIBUTE, TRANSPORT_PROTOCOL } from '../../stun/attribute-types.ts'
import { readFirstByte } from '../../stun/attributes.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunReader } from '../../stun/reader.ts'
import { isStream } from '../contract.ts'
import type { TurnCore } from '../core.ts'
import { type Refusal, refuse } from '../outcome.ts'
import type { AuthenticRequest } from '../request.ts'

/** What is for UDP only. */
const EXCLUDED = [ATTRIBUTE.DontFragment, ATTRIBUTE.EvenPort, ATTRIBUTE.ReservationToken] as const

/** Whether it is an Allocate for TCP. */
export function asksForTcp(reader: StunReader): boolean {
  if (reader.method !== METHOD.Allocate) return false
  const requested = reader.find(ATTRIBUTE.RequestedTransport)
  return requested >= 0 && readFirstByte(reader, requested) === TRANSPORT_PROTOCOL.Tcp
}

/** What an Allocate for TCP must not be (RFC 6062 §5.1). */
export function tcpRefusal(core: TurnCore, { reader, from }: AuthenticRequest): Refusal | undefined {
  if (!core.relaysTcp) return refuse('unsupported-transport')
  const isFit = isStream(from.transport) && !EXCLUDED.some((attribute) => reader.has(attribute))
  return isFit ? undefined : refuse('bad-request')
}
