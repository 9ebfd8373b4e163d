/** Why packets go no further and get no answer: a fixed set, each with what it means. */
export const DROPS = {
  'not-stun': 'Neither a STUN message nor ChannelData.',
  malformed: 'A STUN message or ChannelData whose lengths do not fit, or data without a peer.',
  oversized: 'A request longer than any needs to be.',
  unsupported: 'A method, class or attribute that the relay does not know.',
  'bad-source': 'From port 0, or from an address that is none of a single host.',
  'no-allocation': 'Data on a 5-tuple without an allocation, as after its end.',
  'no-channel': 'ChannelData with a number that is not bound.',
  'no-permission': 'Data or a TCP connection of a peer without a permission, or data to it.',
  'peer-refused': 'Data to or from a port, or a TCP connection, that the peer policy refuses.',
  'connection-exists': 'A second TCP connection of a peer from the same port.',
  'connection-limit':
    'A TCP connection of a peer above limits.peerConnections, peerConnectionsPerAllocation or pendingPeerConnectionsPerAllocation.',
  'rate-limit': 'Above the packets or bytes per second of one allocation.',
  'unauthenticated-budget': 'No answer: limits.unauthenticatedResponsesPerSecond were sent.',
  'unauthenticated-source-budget':
    'No answer: the source got limits.unauthenticatedResponsesPerSecondPerAddress, or its address is forged to flood that host.',
  'loop-budget':
    'Meant for another event loop of the relay, more often than one client or all together may ask.',
  'output-queue-full': 'The relay has more to say than it can send.',
} as const satisfies Record<string, string>

export type DropReason = keyof typeof DROPS

export const DROP_REASONS = Object.keys(DROPS) as readonly DropReason[]
