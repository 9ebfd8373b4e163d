import { ERROR } from '../stun/error-codes.ts'

/** What a reason for a refusal answers, means, and asks of a person. The page of reasons in `docs` is made of it. */
export interface RefusalMeaning {
  /** Error code of the response (RFC 8489 §14.8, RFC 8656 §19). */
  readonly code: number
  readonly means: string
  readonly remedy: string
}

/** Why requests are refused: a fixed set, never text of a client. */
export const REFUSALS = {
  challenge: {
    code: ERROR.Unauthenticated,
    means: 'A request without credentials, as the first of every client is.',
    remedy: 'Nothing: the client sends it again with credentials.',
  },
  'incomplete-credentials': {
    code: ERROR.BadRequest,
    means: 'MESSAGE-INTEGRITY without USERNAME, REALM or NONCE, or one of them malformed.',
    remedy: 'Mend or update the client.',
  },
  'password-algorithm': {
    code: ERROR.BadRequest,
    means: 'PASSWORD-ALGORITHMS is not the offer that was made, or the choice is not in it.',
    remedy: 'Mend the client, or look for who changes packets on the way.',
  },
  'unknown-user': {
    code: ERROR.Unauthenticated,
    means: 'No user has that name, and it is no TURN REST name of a relay with keys.',
    remedy: 'Compare the name with credentials.users; give the client a new credential.',
  },
  'expired-credential': {
    code: ERROR.Unauthenticated,
    means: 'The time in the TURN REST name or in the ACCESS-TOKEN is over.',
    remedy: 'Fetch a credential before each call; compare the clocks; raise credentials.ttl.',
  },
  'wrong-password': {
    code: ERROR.Unauthenticated,
    means: 'The password does not fit the name under any key of the ring.',
    remedy: 'See that whoever issues credentials has a key and a realm of this relay.',
  },
  revoked: {
    code: ERROR.Forbidden,
    means: 'The credential is good and was revoked: its user, its tenant or its key.',
    remedy: 'Nothing, or take the revocation back.',
  },
  'access-token': {
    code: ERROR.Unauthenticated,
    means: 'The ACCESS-TOKEN does not open: malformed, of an unknown kid, or sealed for another server name.',
    remedy: 'Give relay and authorization server the same keys and the same serverName.',
  },
  'unknown-peer-policy': {
    code: ERROR.Forbidden,
    means: 'The signed credential names a peer policy that the relay does not have.',
    remedy: 'Add it to peerPolicies, or issue credentials without it.',
  },
  'stale-nonce': {
    code: ERROR.StaleNonce,
    means:
      "The nonce is too old, of another fleet, or of another address, as after a change of the client's NAT.",
    remedy: 'Nothing where it is rare. Where it is not: give all relays the same nonceKeys.',
  },
  'wrong-user': {
    code: ERROR.WrongCredentials,
    means: 'Another user made the allocation of this 5-tuple.',
    remedy: 'Mend the client: one socket, one credential.',
  },
  'mobility-forbidden': {
    code: ERROR.MobilityForbidden,
    means: 'A MOBILITY-TICKET, and mobility is off.',
    remedy: 'Set mobility where clients are to move.',
  },
  'unknown-attribute': {
    code: ERROR.UnknownAttribute,
    means: 'The request carries an attribute that must be understood and is not; the answer names it.',
    remedy: 'Let the client go without that feature.',
  },
  'bad-request': {
    code: ERROR.BadRequest,
    means: 'An attribute is missing, malformed, or not allowed beside another.',
    remedy: 'Mend or update the client.',
  },
  'allocation-exists': {
    code: ERROR.AllocationMismatch,
    means: 'The client has an allocation on this socket already.',
    remedy: 'Nothing: the client takes another socket.',
  },
  'no-allocation': {
    code: ERROR.AllocationMismatch,
    means: 'There is no allocation on this 5-tuple: expired, ended, or seen from another address since.',
    remedy:
      'Where calls break: look for a NAT that forgets mappings too soon, or a balancer that changes sources.',
  },
  'unsupported-transport': {
    code: ERROR.UnsupportedTransportProtocol,
    means: 'REQUESTED-TRANSPORT asks for TCP while peers.tcp is off, or for neither UDP nor TCP.',
    remedy: 'Ask for UDP, or set peers.tcp where clients need TCP peers.',
  },
  'unsupported-family': {
    code: ERROR.AddressFamilyNotSupported,
    means: 'The relay has no public address of the family that was asked for.',
    remedy: 'Give the relay an address of that family.',
  },
  'family-mismatch': {
    code: ERROR.PeerAddressFamilyMismatch,
    means: 'The allocation has no relayed address of the family of the peer.',
    remedy: 'Let the client allocate that family too.',
  },
  'peer-denied': {
    code: ERROR.Forbidden,
    means: 'peers.deny names the peer; the log line says by which entry.',
    remedy: 'Take the entry away where the peer is meant to be reached.',
  },
  'peer-special': {
    code: ERROR.Forbidden,
    means:
      'The peer is private, special, of the cluster or the relay itself; the log line says which. Browsers try every candidate of the other side, so some of these belong to every call.',
    remedy: 'Name the peer in peers.allow where it is meant to be reached.',
  },
  'peer-not-allowed': {
    code: ERROR.Forbidden,
    means: 'peers.mode is private, and peers.allow does not name the peer.',
    remedy: 'Name the peer in peers.allow where it is meant to be reached.',
  },
  'peer-port': {
    code: ERROR.Forbidden,
    means:
      'The address may be a peer and its port may not: below 1024 but 443, or a listener of the relay, or of no live allocation at its own address.',
    remedy: 'Name the peer in peers.allow where that port is meant to be reached.',
  },
  'new-peer-rate': {
    code: ERROR.Forbidden,
    means:
      'The allocation asked for more new peers than limits.newPeersPerSecondPerAllocation allows; a search for hosts looks so. It is 403 because some browsers give up their relay at any other code.',
    remedy: 'Look at what that user does; raise the limit where it is a conference of very many.',
  },
  'tcp-off': {
    code: ERROR.Forbidden,
    means: 'A Connect on a TCP allocation, and peers.tcp was turned off since it was made.',
    remedy: 'Nothing: the client ends that allocation.',
  },
  'relay-transport': {
    code: ERROR.BadRequest,
    means: 'Connect on a UDP allocation, or ChannelBind on a TCP allocation.',
    remedy: 'Mend the client.',
  },
  'connection-exists': {
    code: ERROR.ConnectionAlreadyExists,
    means: 'The allocation has a connection with this peer and port, or one is being made.',
    remedy: 'Nothing: the client uses the one it has.',
  },
  'connect-failed': {
    code: ERROR.ConnectionTimeoutOrFailure,
    means: 'The peer did not accept the connection, or the way to it is closed.',
    remedy: 'See that the peer listens and that its firewall lets the relay in.',
  },
  'connect-timeout': {
    code: ERROR.ConnectionTimeoutOrFailure,
    means: 'The peer has not answered in 30 seconds.',
    remedy: 'See that the peer is there and that its firewall lets the relay in.',
  },
  'connection-limit': {
    code: ERROR.InsufficientCapacity,
    means:
      'limits.peerConnections, limits.peerConnectionsPerAllocation or limits.pendingPeerConnectionsPerAllocation is reached.',
    remedy: 'Find out what the client does with so many peers; raise the limit.',
  },
  'no-connection': {
    code: ERROR.BadRequest,
    means:
      'ConnectionBind names a CONNECTION-ID that is of another user, bound already, older than 30 seconds, or none.',
    remedy: 'Where it is frequent: see that clients open data connections to the relay they allocated on.',
  },
  'channel-number': {
    code: ERROR.BadRequest,
    means: 'The channel number is not in 0x4000–0x4FFF.',
    remedy: 'Mend or update the client.',
  },
  'channel-conflict': {
    code: ERROR.BadRequest,
    means: 'The channel is bound to another peer, or the peer to another channel.',
    remedy: 'Mend or update the client.',
  },
  'permission-limit': {
    code: ERROR.InsufficientCapacity,
    means: 'The allocation holds limits.permissionsPerAllocation permissions.',
    remedy: 'Find out what the client does with so many peers; raise the limit.',
  },
  'channel-limit': {
    code: ERROR.InsufficientCapacity,
    means: 'The allocation holds limits.channelsPerAllocation channels.',
    remedy: 'Find out what the client does with so many peers; raise the limit.',
  },
  'realm-quota': {
    code: ERROR.AllocationQuotaReached,
    means: 'The realm has all the allocations of its limits.allocations.',
    remedy: 'Raise the limit of that realm.',
  },
  'tenant-quota': {
    code: ERROR.AllocationQuotaReached,
    means: 'The tenant that the signed credential names has all the allocations that it says.',
    remedy: 'Issue its credentials with a higher limit.',
  },
  'user-quota': {
    code: ERROR.AllocationQuotaReached,
    means: 'The user holds limits.allocationsPerUser allocations.',
    remedy: 'Give each person a user of their own, or raise the limit.',
  },
  'address-quota': {
    code: ERROR.AllocationQuotaReached,
    means: "The client's IPv4 address or IPv6 /64 holds limits.allocationsPerAddress allocations.",
    remedy: 'Where it is an office or a mobile network: raise the limit, or add relays.',
  },
  'relay-full': {
    code: ERROR.InsufficientCapacity,
    means: 'The relay carries limits.allocations allocations.',
    remedy: 'Add relays, or let the autoscaler do so.',
  },
  'no-port': {
    code: ERROR.InsufficientCapacity,
    means: 'No port of the relay range is free.',
    remedy: 'Widen relay.ports, or lower limits.allocations below its size.',
  },
  'no-reservation': {
    code: ERROR.InsufficientCapacity,
    means: 'The RESERVATION-TOKEN is not of this relay or user, or older than 30 seconds.',
    remedy: 'Nothing: the client allocates without it.',
  },
  'bind-failed': {
    code: ERROR.InsufficientCapacity,
    means: 'The system would not give the relay a socket.',
    remedy:
      "See that relay.addresses[].bind is an address of this host, and the process's limit of open files.",
  },
  redirected: {
    code: ERROR.TryAlternate,
    means: 'The relay drains and sent the client to another one.',
    remedy: 'Nothing.',
  },
  draining: {
    code: ERROR.InsufficientCapacity,
    means: 'The relay drains, and the client cannot be sent elsewhere.',
    remedy: 'Nothing where credentials come from /v1/ice; else take the relay out of your lists.',
  },
} as const satisfies Record<string, RefusalMeaning>

export type RefusalReason = keyof typeof REFUSALS

export const REFUSAL_REASONS = Object.keys(REFUSALS) as readonly RefusalReason[]
