/** Error codes (RFC 8489 §14.8, RFC 8656 §19, RFC 6062 §6.3, RFC 8016 §6). */
export const ERROR = {
  TryAlternate: 300,
  BadRequest: 400,
  Unauthenticated: 401,
  Forbidden: 403,
  MobilityForbidden: 405,
  UnknownAttribute: 420,
  AllocationMismatch: 437,
  StaleNonce: 438,
  AddressFamilyNotSupported: 440,
  WrongCredentials: 441,
  UnsupportedTransportProtocol: 442,
  PeerAddressFamilyMismatch: 443,
  ConnectionAlreadyExists: 446,
  ConnectionTimeoutOrFailure: 447,
  AllocationQuotaReached: 486,
  ServerError: 500,
  InsufficientCapacity: 508,
} as const

const REASONS: ReadonlyMap<number, string> = new Map(
  Object.entries(ERROR).map(([name, code]) => [code, name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')]),
)

/** The RFC's reason phrase of an error code, or an empty string. */
export function errorReason(code: number): string {
  return REASONS.get(code) ?? ''
}
