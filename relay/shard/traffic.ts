import type { ClientTransport } from '../turn/contract.ts'

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
