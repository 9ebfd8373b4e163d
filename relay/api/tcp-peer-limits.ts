import { z } from 'zod'

/** What bounds connections to and from TCP peers (RFC 6062); in force while `peers.tcp` is on. */
export const tcpPeerLimits = {
  peerConnections: z
    .int()
    .min(1)
    .max(65536)
    .default(2000)
    .describe('TCP connections to and from peers of the whole relay; each bound one takes two open files.'),
  peerConnectionsPerAllocation: z
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe('TCP connections to and from peers of one allocation.'),
  pendingPeerConnectionsPerAllocation: z
    .int()
    .min(1)
    .max(1024)
    .default(16)
    .describe(
      'Those of them that are not bound yet: so many that clients open, and so many that peers open. Each waits up to 30 seconds.',
    ),
}
