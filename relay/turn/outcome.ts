import type { TransportAddress } from '../stun/address.ts'
import type { StunWriter } from '../stun/writer.ts'
import type { PeerRefusal } from './peer-policy.ts'
import { REFUSAL_REASONS, REFUSALS, type RefusalReason } from './refusals.ts'

/** What a request handler decided; one caller turns it into bytes. */
export type Outcome = Success | Refusal | Silence | Elsewhere

export interface Success {
  readonly kind: 'success'
  /** Adds the attributes of the success response. */
  readonly attributes?: (writer: StunWriter) => void
  /** Absent: back to where the request came from, by the way it came. */
  readonly to?: AnswerTarget
  /** What is to follow the response. */
  readonly afterwards?: () => void
}

/** Where an answer goes, and the link it leaves by. */
interface AnswerTarget {
  readonly link: number
  readonly client: TransportAddress
}

/** A refusal is the STUN error response. */
export interface Refusal {
  readonly kind: 'refused'
  readonly code: number
  readonly reason: RefusalReason
  /** The peer that a 403 is about. */
  readonly peer?: TransportAddress
  /** UNKNOWN-ATTRIBUTES of a 420. */
  readonly unknown?: readonly number[]
  /** Where a 300 sends the client. */
  readonly redirect?: Redirect
}

/** ALTERNATE-SERVER, once or twice, and ALTERNATE-DOMAIN (RFC 8489 §14.15, §14.16). */
interface Redirect {
  readonly address: TransportAddress
  readonly otherFamily: TransportAddress | undefined
  readonly domain: string | undefined
}

/** Nothing is answered now. */
export interface Silence {
  readonly kind: 'silent'
}

/** Another event loop of this relay answers. */
interface Elsewhere {
  readonly kind: 'elsewhere'
  readonly loop: number
}

const BARE: ReadonlyMap<RefusalReason, Refusal> = new Map(
  REFUSAL_REASONS.map((reason) => [reason, { kind: 'refused', code: REFUSALS[reason].code, reason }]),
)

export const SUCCESS: Success = { kind: 'success' }
export const SILENCE: Silence = { kind: 'silent' }

/** Without anything that is of one request alone. */
export function refuse(reason: RefusalReason): Refusal {
  return BARE.get(reason)!
}

export function refusePeer(reason: PeerRefusal | 'peer-port', peer: TransportAddress): Refusal {
  return { ...refuse(reason), peer }
}

export function refuseUnknown(unknown: readonly number[]): Refusal {
  return { ...refuse('unknown-attribute'), unknown }
}
