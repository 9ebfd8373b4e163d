import type { TransportAddress } from '../../../stun/address.ts'
import { formatAddress, formatIp } from '../../../stun/address-text.ts'
import type { SharedSocket } from '../../adoption.ts'
import { RELAY_BUFFER_BYTES } from '../../io.ts'
import type { UdpListener } from '../udp-listener.ts'
import type { UdpSocketFactory } from '../udp-socket.ts'
import { ClientSocket } from './client-socket.ts'

/** How often sockets are looked for whose clients have gone. */
const SWEEP_MS = 2_000

interface ClientSocketsOptions {
  readonly sockets: UdpSocketFactory
  readonly now: () => number
  /** The UDP listeners of this loop. */
  readonly listeners: () => readonly UdpListener[]
  /** Those of UDP, and of DTLS. */
  readonly clientsOf: (listener: UdpListener) => readonly TransportAddress[]
  readonly hasClient: (listener: UdpListener, client: TransportAddress) => boolean
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
  /** The UDP listeners of all event loops, where there are several. */
  neighbours: readonly SharedSocket[] = []
  /** When `tick` has work, on the clock of `now`. */
  deadline = Number.POSITIVE_INFINITY
  readonly #options: ClientSocketsOptions
  readonly #byListener = new Map<UdpListener, Map<string, ClientSocket>>()
  /** What answers leave from when the listeners are gone. */
  readonly #senders = new Map<UdpListener, ClientSocket>()

  #away = false

  constructor(options: ClientSocketsOptions) {
    this.#options = options
  }

  get count(): number {
    let count = 0
    for (const known of this.#byListener.values()) count += known.size
    return count
  }

  /** Makes ready a listener that clients are to have sockets beside. */
  begin(listener: UdpListener): void {
    if (this.#senders.has(listener)) return
    const { local } = listener.socket
    if (local.isUnspecified)
      throw new Error(
        `the UDP listener on ${formatIp(local)} cannot be handed over: name the addresses to listen on`,
      )
    // Connected to itself, so that nothing comes to it.
    this.#senders.set(listener, this.#open({ listener, from: local }))
  }

  /** The clients that have no socket of their own. */
  missing(): Place[] {
    return [...this.#senders.keys()].flatMap((listener) =>
      this.#ways(listener)
        .filter(([key]) => !this.#byListener.get(listener)?.has(key))
        .map(([, from]) => ({ listener, from })),
    )
  }

  open(place: Place): void {
    const known = this.#byListener.get(place.listener) ?? new Map<string, ClientSocket>()
    this.#byListener.set(place.listener, known)
    known.set(formatAddress(place.from), this.#open(place))
    this.deadline = Math.min(this.deadline, this.#options.now() + SWEEP_MS)
  }

  /** A socket for a client whose datagrams another loop has; without one it is lost, as when an address is. */
  adopt(listener: UdpListener, client: TransportAddress): void {
    if (this.#byListener.get(listener)?.has(formatAddress(client))) return
    try {
      this.open({ listener, from: client.clone() })
    } catch {
      // No descriptors are left, or another process has the port on another address: it allocates anew.
    }
  }

  /** The listeners are gone: answers leave from sockets beside. */
  takeSenders(): void {
    for (const [listener, { socket }] of this.#senders) listener.socket = socket
    this.neighbours = []
    this.#away = true
  }

  /** Closes the sockets of clients that have gone. */
  tick(now: number): void {
    if (now < this.deadline) return
    this.deadline = this.#sweep() ? now + SWEEP_MS : Number.POSITIVE_INFINITY
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

  /** Closes those whose clients were gone the last time already; says whether any are left. */
  #sweep(): boolean {
    let left = false
    for (const [listener, known] of this.#byListener) {
      const lives = this.#liveness(listener)
      for (const [key, socket] of known) {
        const live = lives(key, socket)
        const gone = socket.idle && !live
        socket.idle = !live
        if (!gone) continue
        known.delete(key)
        this.#options.closed(socket)
      }
      left = left || known.size > 0
    }
    return left
  }

  /** Behind a balancer the address of a socket is not that of its clients. */
  #liveness(listener: UdpListener): (key: string, socket: ClientSocket) => boolean {
    if (!listener.proxied) return (_key, { from }) => this.#options.hasClient(listener, from)
    const live = new Set(this.#ways(listener).map(([key]) => key))
    return (key) => live.has(key)
  }

  /** Where the datagrams of live clients come from: of a balancer's clients several may share one. */
  #ways(listener: UdpListener): [string, TransportAddress][] {
    return this.#options.clientsOf(listener).map((client) => {
      const way = listener.wayTo(client).clone()
      return [formatAddress(way), way]
    })
  }

  #open({ listener, from }: Place): ClientSocket {
    const { sockets, listeners, opened } = this.#options
    const { local } = listener.socket
    const own = this.#away
      ? []
      : listeners().flatMap(({ socket, descriptors }) =>
          descriptors.map((descriptor) => ({ port: socket.local.port, descriptor })),
        )
    const socket = sockets.openBeside(
      [...own, ...this.neighbours].filter(({ port }) => port === local.port),
      { bind: local, bufferBytes: RELAY_BUFFER_BYTES, connect: from },
    )
    const client = new ClientSocket(listener, socket, from)
    opened(client)
    return client
  }
}
