import type { TransportAddress } from '../stun/address.ts'
import { ERROR } from '../stun/error-codes.ts'
import type { StunWriter } from '../stun/writer.ts'
import type { RefusalReason } from './counters.ts'

/** What a request handler decided; one caller turns it into bytes. */
export type Outcome = Success | Refusal | Silence

export interface Success {
  readonly kind: 'success'
  /** Adds the attributes of the success response. */
  readonly attributes?: (writer: StunWriter) => void
}

/** A refusal is the STUN error response. */
export interface Refusal {
  readonly kind: 'refused'
  readonly code: number
  readonly reason: RefusalReason
  /** UNKNOWN-ATTRIBUTES of a 420. */
  readonly unknown?: readonly number[]
  /** ALTERNATE-SERVER of a 300. */
  readonly alternate?: TransportAddress
}

/** Nothing is answered now. */
export interface Silence {
  readonly kind: 'silent'
}

export const SUCCESS: Success = { kind: 'success' }
export const SILENCE: Silence = { kind: 'silent' }

/** The error code that each reason answers with (RFC 8489 §14.8, RFC 8656 §19). */
const CODES: Readonly<Record<RefusalReason, number>> = {
  challenge: ERROR.Unauthenticated,
  'incomplete-credentials': ERROR.BadRequest,
  'password-algorithm': ERROR.BadRequest,
  'unknown-user': ERROR.Unauthenticated,
  'expired-credential': ERROR.Unauthenticated,
  'wrong-password': ERROR.Unauthenticated,
  'stale-nonce': ERROR.StaleNonce,
  'wrong-user': ERROR.WrongCredentials,
  'mobility-forbidden': ERROR.MobilityForbidden,
  'unknown-attribute': ERROR.UnknownAttribute,
  'bad-request': ERROR.BadRequest,
  'allocation-exists': ERROR.AllocationMismatch,
  'no-allocation': ERROR.AllocationMismatch,
  'unsupported-transport': ERROR.UnsupportedTransportProtocol,
  'unsupported-family': ERROR.AddressFamilyNotSupported,
  'family-mismatch': ERROR.PeerAddressFamilyMismatch,
  'peer-denied': ERROR.Forbidden,
  'peer-special': ERROR.Forbidden,
  'peer-not-allowed': ERROR.Forbidden,
  'peer-port': ERROR.Forbidden,
  'channel-number': ERROR.BadRequest,
  'channel-conflict': ERROR.BadRequest,
  'permission-limit': ERROR.InsufficientCapacity,
  'channel-limit': ERROR.InsufficientCapacity,
  'user-quota': ERROR.AllocationQuotaReached,
  'relay-full': ERROR.InsufficientCapacity,
  'no-port': ERROR.InsufficientCapacity,
  'no-reservation': ERROR.InsufficientCapacity,
  'bind-failed': ERROR.InsufficientCapacity,
  redirected: ERROR.TryAlternate,
  draining: ERROR.InsufficientCapacity,
}

export function refuse(reason: RefusalReason): Refusal {
  return { kind: 'refused', code: CODES[reason], reason }
}

export function refuseUnknown(unknown: readonly number[]): Refusal {
  return { ...refuse('unknown-attribute'), unknown }
}

export function redirect(alternate: TransportAddress): Refusal {
  return { ...refuse('redirected'), alternate }
}
