import { ATTRIBUTE } from '../stun/attribute-types.ts'

const KNOWN: readonly number[] = [
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
  ATTRIBUTE.ConnectionId,
]

/**
 * Comprehension-required attributes that this server understands; others are answered with 420 (RFC 8489
 * §6.3.1). DONT-FRAGMENT is one of them where its sockets can do that (RFC 8656 §7.2 step 4), and
 * ACCESS-TOKEN where third-party authorization is offered (RFC 7635 §7).
 */
export function knownAttributes(dontFragment: boolean, accessToken: boolean): ReadonlySet<number> {
  const known = new Set(KNOWN)
  if (dontFragment) known.add(ATTRIBUTE.DontFragment)
  if (accessToken) known.add(ATTRIBUTE.AccessToken)
  return known
}

/** What a Binding request to a listener for NAT behaviour discovery may carry (RFC 5780 §7). */
export const DISCOVERY_ATTRIBUTES: ReadonlySet<number> = new Set([
  ...KNOWN,
  ATTRIBUTE.ChangeRequest,
  ATTRIBUTE.Padding,
  ATTRIBUTE.ResponsePort,
])
