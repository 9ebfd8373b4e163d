/** Attribute types (RFC 8489 §18.3, RFC 8656 §18, RFC 6062 §6.2, RFC 8016 §6, RFC 5780 §7, RFC 7635 §12). */
export const ATTRIBUTE = {
  MappedAddress: 0x0001,
  ChangeRequest: 0x0003,
  Username: 0x0006,
  MessageIntegrity: 0x0008,
  ErrorCode: 0x0009,
  UnknownAttributes: 0x000a,
  ChannelNumber: 0x000c,
  Lifetime: 0x000d,
  XorPeerAddress: 0x0012,
  Data: 0x0013,
  Realm: 0x0014,
  Nonce: 0x0015,
  XorRelayedAddress: 0x0016,
  RequestedAddressFamily: 0x0017,
  EvenPort: 0x0018,
  RequestedTransport: 0x0019,
  DontFragment: 0x001a,
  AccessToken: 0x001b,
  MessageIntegritySha256: 0x001c,
  PasswordAlgorithm: 0x001d,
  Userhash: 0x001e,
  XorMappedAddress: 0x0020,
  ReservationToken: 0x0022,
  Padding: 0x0026,
  ResponsePort: 0x0027,
  ConnectionId: 0x002a,
  AdditionalAddressFamily: 0x8000,
  AddressErrorCode: 0x8001,
  PasswordAlgorithms: 0x8002,
  AlternateDomain: 0x8003,
  Icmp: 0x8004,
  Software: 0x8022,
  AlternateServer: 0x8023,
  Fingerprint: 0x8028,
  ResponseOrigin: 0x802b,
  OtherAddress: 0x802c,
  ThirdPartyAuthorization: 0x802e,
  Origin: 0x802f,
  MobilityTicket: 0x8030,
} as const

/** Values of REQUESTED-ADDRESS-FAMILY and of the family byte of addresses (RFC 8489 §14.1, RFC 8656 §18.6). */
export const FAMILY_CODE = { IPv4: 0x01, IPv6: 0x02 } as const

/** IP protocol numbers in REQUESTED-TRANSPORT (RFC 8656 §18.7). */
export const TRANSPORT_PROTOCOL = { Udp: 17, Tcp: 6 } as const

/** Whether a receiver that does not know the attribute must refuse the request (RFC 8489 §14). */
export function isComprehensionRequired(type: number): boolean {
  return type < 0x8000
}
