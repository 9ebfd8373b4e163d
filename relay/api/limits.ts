import { z } from 'zod'
import { tcpPeerLimits } from './tcp-peer-limits.ts'

/** What bounds a relay and each of its clients, each with a default that browsers and offices do not meet. */
export const relayLimits = z.strictObject({
  allocations: z
    .int()
    .min(1)
    .max(65536)
    .default(4000)
    .describe('Allocations that this relay carries at most.'),
  allocationsPerUser: z
    .int()
    .min(1)
    .max(65536)
    .default(60)
    .describe(
      'Allocations of one user. A browser makes one for each URL and network interface, up to six a connection.',
    ),
  allocationsPerAddress: z
    .int()
    .min(0)
    .max(65536)
    .default(2000)
    .describe(
      'Allocations from one IPv4 address or IPv6 /64, so that no single place fills a relay of the default size. An office or a mobile network behind one address shares it: 2000 are some 300 browser connections. 0 turns the limit off.',
    ),
  permissionsPerAllocation: z.int().min(1).max(1024).default(200).describe('Permissions of one allocation.'),
  channelsPerAllocation: z.int().min(1).max(1024).default(200).describe('Channels of one allocation.'),
  newPeersPerSecondPerAllocation: z
    .int()
    .min(0)
    .default(10)
    .describe(
      'Peer addresses that one allocation may newly permit, or TCP peers that it may connect to, per second, ten seconds of them at once: a call begins with a permission for every candidate of the other side, which is far fewer, and who looks for hosts needs far more. 0 turns the limit off.',
    ),
  allocationLifetimeSeconds: z
    .int()
    .min(5)
    .max(3600)
    .default(600)
    .describe('Lifetime of an allocation whose client asks for none.'),
  allocationLifetimeMaxSeconds: z
    .int()
    .min(5)
    .max(86400)
    .default(3600)
    .describe('Longest lifetime that a client can ask for.'),
  permissionLifetimeSeconds: z
    .int()
    .min(2)
    .max(300)
    .default(300)
    .describe('Lifetime of a permission. RFC 8656 §9 fixes five minutes; shorter only for tests.'),
  channelLifetimeSeconds: z
    .int()
    .min(2)
    .max(600)
    .default(600)
    .describe('Lifetime of a channel. RFC 8656 §12 fixes ten minutes; shorter only for tests.'),
  nonceLifetimeSeconds: z
    .int()
    .min(10)
    .max(86400)
    .default(3600)
    .describe('Time after which a nonce is stale.'),
  bytesPerSecondPerAllocation: z
    .int()
    .min(0)
    .default(12_500_000)
    .describe('Relayed bytes per second of one allocation, each direction; 0 turns the limit off.'),
  packetsPerSecondPerAllocation: z
    .int()
    .min(0)
    .default(20_000)
    .describe('Relayed packets per second of one allocation, each direction; 0 turns the limit off.'),
  unauthenticatedResponsesPerSecond: z
    .int()
    .min(10)
    .default(5000)
    .describe('Answers of the whole relay to requests without valid credentials, per second.'),
  unauthenticatedResponsesPerSecondPerAddress: z
    .int()
    .min(0)
    .default(500)
    .describe(
      'The same to one IPv4 address or IPv6 /64 over UDP, where senders can be forged; many clients may share one behind a NAT. 0 turns the limit off.',
    ),
  streams: z
    .int()
    .min(1)
    .default(10_000)
    .describe('TCP and TLS connections of the whole relay; the same again of DTLS sessions.'),
  streamsPerAddress: z
    .int()
    .min(1)
    .default(500)
    .describe('TCP and TLS connections from one address; the same again of DTLS sessions.'),
  halfOpenStreamsPerAddress: z
    .int()
    .min(0)
    .default(200)
    .describe(
      'Of these, connections that have made no allocation yet: an office that comes back after an outage opens many at once, and each needs about a second. 0 turns the limit off.',
    ),
  streamFirstMessageSeconds: z
    .int()
    .min(1)
    .default(10)
    .describe('A connection that has sent no whole message by then is closed.'),
  streamQueueBytes: z
    .int()
    .min(65_536)
    .default(1_048_576)
    .describe('Bytes that wait for a slow connection before packets to it are dropped.'),
  ...tcpPeerLimits,
})
