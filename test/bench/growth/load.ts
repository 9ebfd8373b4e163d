import { wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import type { LoadOptions } from '../packets/load-options.ts'

/** Beyond it flows share a peer, as a process may not open sockets without end. */
const PEERS_MAX = 1_000

/** ChannelData of 160 bytes both ways over so many allocations, all of them in traffic. */
export function growthLoad(
  network: BenchNetwork,
  allocations: number,
  burst: number,
): Omit<LoadOptions, 'packetsPerSecond' | 'seconds'> {
  return {
    ...wayIn(network),
    transport: 'udp',
    flows: allocations,
    peers: Math.min(allocations, PEERS_MAX),
    framing: 'channel',
    direction: 'both',
    payloadBytes: 160,
    burst,
    warmUpSeconds: 1,
  }
}
