import { z } from 'zod'
import { tcpPeerLimits } from '../../relay/api/tcp-peer-limits.ts'

/** Limits of a fleet's relays and of their clients; relays have defaults of their own for what is not here. */
export const clusterLimits = z.object({
  allocationsPerRelay: z.int().min(1).max(65536).default(4000).describe('Capacity of one relay.'),
  allocationsPerUser: z
    .int()
    .min(1)
    .max(65536)
    .default(60)
    .describe('Allocations of one user on one relay. A browser makes up to six for a connection.'),
  allocationsPerAddress: z
    .int()
    .min(0)
    .max(65536)
    .default(2000)
    .describe(
      'Allocations from one IPv4 address or IPv6 /64 on one relay. An office or a mobile network behind one address shares it: 2000 are some 300 browser connections. 0 turns the limit off.',
    ),
  permissionsPerAllocation: z
    .int()
    .min(1)
    .max(1024)
    .default(200)
    .describe('Peer addresses of one allocation at a time.'),
  channelsPerAllocation: z
    .int()
    .min(1)
    .max(1024)
    .default(200)
    .describe('Channels of one allocation at a time.'),
  newPeersPerSecondPerAllocation: z
    .int()
    .min(0)
    .max(1024)
    .default(10)
    .describe(
      'Peer addresses that one allocation may newly permit, or TCP peers that it may connect to, per second, ten seconds of them at once. 0 turns the limit off.',
    ),
  bytesPerSecondPerAllocation: z
    .int()
    .min(0)
    .max(100_000_000_000)
    .default(12_500_000)
    .describe('Relayed bytes per second of one allocation, each direction. 0 turns the limit off.'),
  packetsPerSecondPerAllocation: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(20_000)
    .describe('Relayed packets per second of one allocation, each direction. 0 turns the limit off.'),
  streamsPerAddress: z
    .int()
    .min(1)
    .max(65536)
    .default(500)
    .describe('TCP and TLS connections from one address to one relay.'),
  halfOpenStreamsPerAddress: z
    .int()
    .min(0)
    .max(65536)
    .default(200)
    .describe('Of these, connections that have made no allocation yet. 0 turns the limit off.'),
  ...tcpPeerLimits,
})
