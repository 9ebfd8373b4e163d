import type { ClientTransport } from '../turn/contract.ts'
import type { OffloadedData } from '../turn/offload.ts'

/** Where packets come from and go to; `peer` is the relay side. */
const SIDES = ['udp', 'tcp', 'tls', 'dtls', 'peer'] as const satisfies readonly (ClientTransport | 'peer')[]
type Side = (typeof SIDES)[number]

export interface SideTraffic {
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
}

/** Everything that crossed the sockets, control messages included, by side. */
export type Traffic = Readonly<Record<Side, SideTraffic>>

export function newTraffic(): Traffic {
  return Object.fromEntries(
    SIDES.map((side) => [side, { packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 }]),
  ) as Record<Side, SideTraffic>
}

/** All that came in. */
export function packetsIn(traffic: Traffic): number {
  return SIDES.reduce((sum, side) => sum + traffic[side].packetsIn, 0)
}

/** The same with what passed below the state machine, between UDP clients and peers. */
export function withOffloaded(traffic: Traffic, data: Readonly<OffloadedData> | undefined): Traffic {
  if (!data) return traffic
  const { udp, peer } = traffic
  return {
    ...traffic,
    udp: {
      packetsIn: udp.packetsIn + data.clientPackets,
      bytesIn: udp.bytesIn + data.clientFrameBytes,
      packetsOut: udp.packetsOut + data.peerPackets,
      bytesOut: udp.bytesOut + data.peerFrameBytes,
    },
    peer: {
      packetsIn: peer.packetsIn + data.peerPackets,
      bytesIn: peer.bytesIn + data.peerBytes,
      packetsOut: peer.packetsOut + data.clientPackets,
      bytesOut: peer.bytesOut + data.clientBytes,
    },
  }
}
