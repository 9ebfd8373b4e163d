import type { TransportAddress } from '../../../stun/address.ts'
import type { UdpListener } from '../udp-listener.ts'
import type { UdpSocket } from '../udp-socket.ts'

/** A socket on the address and port of a listener that has what one client sends there, whoever reads the listener. */
export class ClientSocket {
  readonly kind = 'client'
  readonly listener: UdpListener
  readonly socket: UdpSocket
  /** Where its datagrams come from. */
  readonly from: TransportAddress
  /** Nobody lived there when it was looked at last. */
  idle = false

  constructor(listener: UdpListener, socket: UdpSocket, from: TransportAddress) {
    this.from = from
    this.listener = listener
    this.socket = socket
  }
}
