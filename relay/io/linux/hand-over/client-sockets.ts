import type { TransportAddress } from '../../../stun/address.ts'
import { formatAddress, formatIp } from '../../../stun/address-text.ts'
import { RELAY_BUFFER_BYTES } from '../../io.ts'
import type { UdpListener } from '../udp-listener.ts'
import type { UdpSocketFactory } from '../udp-socket.ts'
import { ClientSocket } from './client-socket.ts'

export interface ClientSocketsOptions {
  readonly sockets: UdpSocketFactory
  /** Those of UDP, and of DTLS. */
  readonly clientsOf: (listener: UdpListener) => readonly TransportAddress[]
  /** Between its port and its client it may have been given what anybody sends to the listener. */
  readonly opened: (socket: ClientSocket) => void
  readonly closed: (socket: ClientSocket) => void
}

/** A client of a listener, by the address that its datagrams come from. */
interface Place {
  readonly listener: UdpListener
  readonly from: TransportAddress
}

/** The sockets that clients of UDP listeners have to themselves: one for each address that datagrams come from. */
export class ClientSockets {
  readonly #options: ClientSocketsOptions
  readonly #byListener = new Map<UdpListener, Map<string, ClientSocket>>()
  /** What answers leave from when the listeners are gone. */
  readonly #senders = new Map<UdpListener, ClientSocket>()

  constructor(options: ClientSocketsOptions) {
    this.#options = options
  }

  /** Makes ready a listener that clients are to have sockets beside. */
  begin(listener: UdpListener): void {
    if (this.#senders.has(listener)) return
    const { sockets } = this.#options
    const { local } = listener.socket
    if ((local.w0 | local.w1 | local.w2 | local.w3) === 0)
      throw new Error(
        `the UDP listener on ${formatIp(local)} cannot be handed over: name the addresses to listen on`,
      )
    sockets.share(listener.socket)
    // Connected to itself, so that nothing comes to it.
    this.#senders.set(listener, this.#open({ listener, from: local }))
    this.#byListener.set(listener, new Map())
  }

  /** The clients that have no socket of their own. */
  missing(): Place[] {
    return [...this.#byListener].flatMap(([listener, known]) =>
      this.#ways(listener)
        .filter(([key]) => !known.has(key))
        .map(([, from]) => ({ listener, from })),
    )
  }

  open(place: Place): void {
    this.#byListener.get(place.listener)!.set(formatAddress(place.from), this.#open(place))
  }

  /** The listeners are gone: answers leave from sockets beside. */
  takeSenders(): void {
    for (const [listener, { socket }] of this.#senders) listener.socket = socket
  }

  /** Closes those whose clients were gone the last time already; says whether any are left. */
  sweep(): boolean {
    let left = false
    for (const [listener, known] of this.#byListener) {
      const live = new Set(this.#ways(listener).map(([key]) => key))
      for (const [key, socket] of known) {
        const gone = socket.idle && !live.has(key)
        socket.idle = !live.has(key)
        if (!gone) continue
        known.delete(key)
        this.#options.closed(socket)
      }
      left = left || known.size > 0
    }
    return left
  }

  /** A listener is closed for good. */
  forget(listener: UdpListener): void {
    const known = this.#byListener.get(listener)?.values() ?? []
    const sender = this.#senders.get(listener)
    for (const client of sender ? [...known, sender] : known) this.#options.closed(client)
    this.#byListener.delete(listener)
    this.#senders.delete(listener)
  }

  closeAll(): void {
    const clients = [...this.#byListener.values()].flatMap((known) => [...known.values()])
    for (const { socket } of [...clients, ...this.#senders.values()]) socket.close()
    this.#byListener.clear()
    this.#senders.clear()
  }

  /** Where the datagrams of live clients come from: of a balancer's clients several may share one. */
  #ways(listener: UdpListener): [string, TransportAddress][] {
    return this.#options.clientsOf(listener).map((client) => {
      const way = listener.wayTo(client).clone()
      return [formatAddress(way), way]
    })
  }

  #open({ listener, from }: Place): ClientSocket {
    const socket = this.#options.sockets.open({
      bind: listener.socket.local,
      bufferBytes: RELAY_BUFFER_BYTES,
      shared: 'joined',
      connect: from,
    })
    const client = new ClientSocket(listener, socket)
    this.#options.opened(client)
    return client
  }
}
