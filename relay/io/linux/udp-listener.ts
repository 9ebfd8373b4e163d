import type { TransportAddress } from '../../stun/address.ts'
import type { ListenerOptions } from '../io.ts'
import type { ProxiedDatagrams } from '../proxy/proxied-datagrams.ts'
import type { ClientSocket } from './hand-over/client-socket.ts'
import type { UdpSocket } from './udp-socket.ts'

const NONE = -1

type UdpPlace = Pick<ListenerOptions, 'address' | 'port' | 'proxyFrom'>

/** A UDP socket that clients send to: plain TURN, DTLS, or both on one port, told apart by the first byte (RFC 7983). */
export class UdpListener {
  readonly kind = 'listener'
  /** What clients send to; after a hand-over what answers leave from. */
  socket: UdpSocket
  /** Further sockets on the same address and port: those of event loops of the relay before. */
  others: readonly ClientSocket[] = []
  /** Where balancers put a header in front of datagrams. */
  readonly proxied: ProxiedDatagrams | undefined
  /** As it was asked for, so that a second listener finds it. */
  readonly #place: UdpPlace
  #udp = NONE
  #dtls = NONE

  constructor(socket: UdpSocket, place: UdpPlace, proxied: ProxiedDatagrams | undefined) {
    this.socket = socket
    this.proxied = proxied
    this.#place = place
  }

  /** All that is to be read for it. */
  get endpoints(): readonly (UdpListener | ClientSocket)[] {
    return [this, ...this.others]
  }

  get descriptors(): number[] {
    return this.endpoints.map(({ socket }) => socket.fd)
  }

  /** Where what is meant for a client has to be sent. */
  wayTo(client: TransportAddress): TransportAddress {
    return this.proxied ? this.proxied.wayTo(client) : client
  }

  /** The id of the `udp` listener and of its link, or -1. */
  get udp(): number {
    return this.#udp
  }

  /** The id of the `dtls` listener, or -1. */
  get dtls(): number {
    return this.#dtls
  }

  get unused(): boolean {
    return this.#udp === NONE && this.#dtls === NONE
  }

  /** Could a listener for this protocol and place share the socket? */
  takes(protocol: 'udp' | 'dtls', { address, port, proxyFrom = [] }: UdpPlace): boolean {
    const free = (protocol === 'udp' ? this.#udp : this.#dtls) === NONE
    const same = address === this.#place.address && port === this.socket.local.port
    return free && same && proxyFrom.join() === (this.#place.proxyFrom ?? []).join()
  }

  use(protocol: 'udp' | 'dtls', id: number): void {
    if (protocol === 'udp') this.#udp = id
    else this.#dtls = id
  }

  /** Returns what the listener was. */
  drop(id: number): 'udp' | 'dtls' {
    if (this.#dtls !== id) {
      this.#udp = NONE
      return 'udp'
    }
    this.#dtls = NONE
    return 'dtls'
  }
}
