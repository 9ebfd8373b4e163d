import { TransportAddress } from '../../../stun/address.ts'
import { HOP } from './layout.ts'
import type { MappedArray } from './mapped-array.ts'
import type { Route } from './routes.ts'

/** Writes where packets go next. */
export function writeHop({ view, bytes }: MappedArray, at: number, route: Route): void {
  view.setUint32(at + HOP.interfaceIndex, route.interfaceIndex, true)
  view.setUint8(at + HOP.family, route.family)
  bytes.fill(0, at + HOP.next, at + HOP.bytes)
  bytes.set(route.next, at + HOP.next)
  view.setUint16(at + HOP.mtu, Math.min(route.mtu, 0xffff), true)
}

/** Nothing fits through any more, so that the relay gets the packets. */
export function closeHop({ view }: MappedArray, at: number): void {
  view.setUint16(at + HOP.mtu, 0, true)
}

/** What a socket is bound to; where that is unspecified, the address that packets of this route leave from. */
export function localAddress(bound: TransportAddress, { source }: Route): TransportAddress {
  const address = new TransportAddress()
  const view = new DataView(source.buffer, source.byteOffset, source.length)
  if (bound.family === 4) return address.set4(view.getUint32(0), bound.port)
  const [w0, w1, w2, w3] = [0, 4, 8, 12].map((at) => view.getUint32(at)) as [number, number, number, number]
  return address.set6(w0, w1, w2, w3, bound.port)
}
