import { ATTRIBUTE } from '../stun/attribute-types.ts'

/** Comprehension-required attributes that this server understands; others are answered with 420 (RFC 8489 §6.3.1). */
export const KNOWN_ATTRIBUTES: ReadonlySet<number> = new Set([
  ATTRIBUTE.MappedAddress,
  ATTRIBUTE.Username,
  ATTRIBUTE.MessageIntegrity,
  ATTRIBUTE.ErrorCode,
  ATTRIBUTE.UnknownAttributes,
  ATTRIBUTE.ChannelNumber,
  ATTRIBUTE.Lifetime,
  ATTRIBUTE.XorPeerAddress,
  ATTRIBUTE.Data,
  ATTRIBUTE.Realm,
  ATTRIBUTE.Nonce,
  ATTRIBUTE.XorRelayedAddress,
  ATTRIBUTE.RequestedAddressFamily,
  ATTRIBUTE.EvenPort,
  ATTRIBUTE.RequestedTransport,
  ATTRIBUTE.MessageIntegritySha256,
  ATTRIBUTE.PasswordAlgorithm,
  ATTRIBUTE.Userhash,
  ATTRIBUTE.XorMappedAddress,
  ATTRIBUTE.ReservationToken,
])
