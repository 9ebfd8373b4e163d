import { TransportAddress } from '../../../stun/address.ts'
import { parseAddress } from '../../../stun/address-text.ts'
import type { ListenerOptions } from '../../io.ts'
import { EPOLLIN } from '../constants.ts'
import type { Endpoints } from '../endpoints.ts'
import { StreamListener } from './stream-listener.ts'
import type { TcpSocket, TcpSocketFactory } from './tcp-socket.ts'

/** Connections that one listener accepts in one turn; the others wait for the next. */
const ACCEPTS_PER_TURN = 64
/** How long nothing is accepted when descriptors have run out. */
const EXHAUSTED_PAUSE_MS = 100

interface StreamListenersOptions {
  readonly sockets: TcpSocketFactory
  readonly endpoints: Endpoints
  readonly now: () => number
  readonly accepted: (listener: StreamListener, socket: TcpSocket, remote: TransportAddress) => void
}

/** The listening sockets of `tcp` and `tls` listeners, and what they accept. */
export class StreamListeners {
  /** When `tick` has work, on the clock of `now`. */
  deadline = Number.POSITIVE_INFINITY
  readonly #options: StreamListenersOptions
  readonly #open = new Set<StreamListener>()

  constructor(options: StreamListenersOptions) {
    this.#options = options
  }

  all(): readonly StreamListener[] {
    return [...this.#open]
  }

  /** Opens or shares the socket of an address and port; throws what the system says. */
  listen(id: number, protocol: 'tcp' | 'tls', options: ListenerOptions): readonly StreamListener[] {
    const { address, port, proxyFrom, descriptors = [undefined] } = options
    const shared = this.all().filter((one) => one.address === address && one.local.port === port)
    const listeners =
      shared.length > 0 ? shared : descriptors.map((descriptor) => this.#listen(options, descriptor))
    for (const listener of listeners) listener.addUser(id, protocol, proxyFrom)
    return listeners
  }

  /** Stops accepting where nobody else uses the socket; established streams stay. */
  remove(id: number): void {
    for (const listener of this.#open) {
      if (!listener.removeUser(id) || !listener.unused) continue
      this.#open.delete(listener)
      this.#options.endpoints.close(listener)
    }
  }

  /** Lets further sockets of this user have the same address and port. */
  share({ socket }: StreamListener): void {
    this.#options.sockets.share(socket)
  }

  /** Another process accepts from now on. */
  release(): void {
    for (const { socket } of this.#open) socket.close()
    this.#open.clear()
  }

  /** A listener has connections for us. */
  accept(listener: StreamListener): void {
    const { sockets, endpoints, now, accepted } = this.#options
    for (let i = 0; i < ACCEPTS_PER_TURN && listener.socket.open; i++) {
      const remote = new TransportAddress()
      const socket = sockets.accept(listener.socket, remote)
      if (socket === 'none') return
      if (socket === 'exhausted') {
        listener.pausedUntil = now() + EXHAUSTED_PAUSE_MS
        endpoints.watch(listener, 0)
        this.deadline = Math.min(this.deadline, listener.pausedUntil)
        return
      }
      accepted(listener, socket, remote)
    }
  }

  /** Accepts again. */
  tick(now: number): void {
    if (now < this.deadline) return
    this.deadline = Number.POSITIVE_INFINITY
    for (const listener of this.#open) this.#resume(listener, now)
  }

  close(): void {
    for (const listener of this.#open) this.#options.endpoints.close(listener)
    this.#open.clear()
  }

  #listen({ address, port, shared }: ListenerOptions, descriptor: number | undefined): StreamListener {
    const { sockets, endpoints } = this.#options
    const at = parseAddress(address, port)
    if (!at) throw new Error(`${address} is no literal IP address`)
    const socket = descriptor === undefined ? sockets.listen(at, shared) : sockets.adopt(descriptor)
    const listener = new StreamListener(socket, sockets.localOf(socket), address)
    this.#open.add(listener)
    endpoints.add(listener)
    return listener
  }

  #resume(listener: StreamListener, now: number): void {
    if (listener.pausedUntil === 0) return
    if (listener.pausedUntil > now) {
      this.deadline = Math.min(this.deadline, listener.pausedUntil)
      return
    }
    listener.pausedUntil = 0
    this.#options.endpoints.watch(listener, EPOLLIN)
  }
}
