import { randomInt } from 'node:crypto'
import { parseAddress } from '../../stun/address-text.ts'
import { type IoCounters, LISTENER_BUFFER_BYTES, type ListenerOptions } from '../io.ts'
import { ProxiedDatagrams } from '../proxy/proxied-datagrams.ts'
import { ClientSocket } from './hand-over/client-socket.ts'
import { UdpListener } from './udp-listener.ts'
import type { UdpSocketFactory } from './udp-socket.ts'

const SEED_MAX = 2 ** 31

export interface UdpListenersOptions {
  readonly sockets: UdpSocketFactory
  readonly counters: IoCounters
  readonly now: () => number
}

/** The UDP sockets of `udp` and `dtls` listeners; one of each may share a socket. */
export class UdpListeners {
  readonly #options: UdpListenersOptions
  readonly #byId = new Map<number, UdpListener>()

  constructor(options: UdpListenersOptions) {
    this.#options = options
  }

  get(id: number): UdpListener | undefined {
    return this.#byId.get(id)
  }

  /** Throws what the system says; `opened` is told of a socket that is new. */
  listen(
    id: number,
    protocol: 'udp' | 'dtls',
    options: ListenerOptions,
    opened: (listener: UdpListener) => void,
  ): UdpListener {
    const shared = [...this.#byId.values()].find((other) => other.takes(protocol, options))
    const listener = shared ?? this.#open(options)
    if (!shared) opened(listener)
    listener.use(protocol, id)
    this.#byId.set(id, listener)
    return listener
  }

  all(): UdpListener[] {
    return [...new Set(this.#byId.values())]
  }

  /** All that is to be read for them. */
  get endpoints(): (UdpListener | ClientSocket)[] {
    return this.all().flatMap(({ endpoints }) => endpoints)
  }

  /** Forgets a listener, whose socket the caller closes where it is unused now. */
  remove(id: number): 'udp' | 'dtls' | undefined {
    const listener = this.#byId.get(id)
    this.#byId.delete(id)
    return listener?.drop(id)
  }

  removeAll(): UdpListener[] {
    const listeners = [...this.#byId.values()]
    this.#byId.clear()
    return listeners
  }

  #open(options: ListenerOptions): UdpListener {
    const { address, port, proxyFrom: from, shared, descriptors = [] } = options
    const { sockets, counters, now } = this.#options
    const bind = parseAddress(address, port)
    if (!bind) throw new Error(`${address} is no literal IP address`)
    const [adopted, ...others] = descriptors.map((descriptor) => sockets.adopt(descriptor))
    const socket = adopted ?? sockets.open({ bind, bufferBytes: LISTENER_BUFFER_BYTES, shared })
    if (options.besideClients) sockets.rankBehindClients(socket)
    const proxied = from && new ProxiedDatagrams({ from, counters, now, seed: randomInt(SEED_MAX) })
    const listener = new UdpListener(socket, options, proxied)
    listener.others = others.map((other) => new ClientSocket(listener, other, other.local))
    return listener
  }
}
