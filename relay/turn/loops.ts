import type { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { NONCE_BYTES_MAX, readText, readUint32Value } from '../stun/attributes.ts'
import { METHOD } from '../stun/methods.ts'
import type { Link } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Outcome, refuse, SILENCE } from './outcome.ts'
import type { Request } from './request.ts'
import { TOKEN_BYTES } from './reservations.ts'

/** Requests that this loop passes on in a second, of all clients and of one address: the owner works on each. */
const PASSES_PER_SECOND = 1_000
const PASSES_PER_SECOND_PER_ADDRESS = 20
/** A loop's number lies in the first byte of what names it. */
const LOOP_SHIFT = 24

/** Which of the event loops of a relay a machine is for. */
export interface LoopPlace {
  /** Chosen when the relay starts: tells its loops from those of another relay. */
  readonly relay: number
  /** From 1 to `count`. */
  readonly own: number
  /** At most 255. */
  readonly count: number
}

/** A number that others see, and that names the loop whose it is where there are several. */
export function withLoop({ own, count }: LoopPlace, number: number): number {
  return count === 1 ? number : ((own << LOOP_SHIFT) | (number & (2 ** LOOP_SHIFT - 1))) >>> 0
}

/**
 * The other loop of this relay that a request is meant for: whose ticket, reservation or peer data connection it
 * names (RFC 8016 §3.2.2, RFC 8656 §7.2, RFC 6062 §5.4). Undefined: this loop answers it.
 */
export function loopNamed(
  core: TurnCore,
  link: Link,
  from: TransportAddress,
  ofTicket: number | undefined,
): number | undefined {
  const { loops, table } = core
  if (loops.count === 1 || !link.movable) return undefined
  const loop = ofTicket ?? readLoop(core)
  if (loop === undefined || loop === loops.own || loop < 1 || loop > loops.count) return undefined
  return table.find(link.id, from) ? undefined : loop
}

/**
 * Passes a request on with its client, whom the other loop authenticates: it alone knows the keys of its allocations,
 * which outlast credentials. Who sends it has to be reachable where he says, by a nonce of ours, and is bounded.
 */
export function passOn(core: TurnCore, request: Request, loop: number): Outcome {
  const { reader, client, now } = request
  if (!reader.hasIntegrity && !reader.hasIntegritySha256) return refuse('challenge')
  const index = reader.find(ATTRIBUTE.Nonce)
  const nonce = index < 0 ? undefined : readText(reader, index, NONCE_BYTES_MAX)
  if (nonce === undefined) return refuse('incomplete-credentials')
  if (!core.nonces.verify(nonce, client, core.unixSeconds(now), undefined)) return refuse('stale-nonce')
  const allowed =
    core.passesBySource.take(client, PASSES_PER_SECOND_PER_ADDRESS, now) &&
    core.passes.take(1, PASSES_PER_SECOND, now)
  if (allowed) return { kind: 'elsewhere', loop }
  core.counters.drops['loop-budget']++
  return SILENCE
}

function readLoop({ reader }: TurnCore): number | undefined {
  if (reader.method === METHOD.Allocate) {
    const token = reader.find(ATTRIBUTE.ReservationToken)
    const whole = token >= 0 && reader.valueLength(token) === TOKEN_BYTES
    return whole ? reader.buffer[reader.valueOffset(token)] : undefined
  }
  if (reader.method !== METHOD.ConnectionBind) return undefined
  const connection = reader.find(ATTRIBUTE.ConnectionId)
  const id = connection < 0 ? undefined : readUint32Value(reader, connection)
  return id === undefined ? undefined : id >>> LOOP_SHIFT
}
