import net from 'node:net'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'
import type { Arena } from './arena.ts'
import { UdpSocket } from './udp-socket.ts'

/** Connections of peers that the system holds before they are looked at. */
const BACKLOG = 64
/** The guard reads nothing that matters. */
const GUARD_BUFFER_BYTES = 4096

export interface PeerListenerEvents {
  bound(): void
  /** Nothing more comes. */
  failed(error: NodeJS.ErrnoException): void
  /** Nothing is read from the socket yet. */
  accepted(socket: net.Socket): void
}

/**
 * A TCP relay socket (RFC 6062 §5.1). Its port may be bound again by this user, as connections to peers are made
 * from it; another relay of this user on this host would not notice that it is taken. So the UDP port of that
 * number is held beside it, which every relay finds taken, whatever it wants it for.
 */
export class PeerListener {
  readonly address: string
  readonly port: number
  readonly #guard: UdpSocket
  readonly #server = net.createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true })
  readonly #events: PeerListenerEvents
  #reusePort = true
  #bound = false
  #closed = false

  constructor(bind: TransportAddress, arena: Arena, events: PeerListenerEvents) {
    this.address = formatIp(bind)
    this.port = bind.port
    this.#events = events
    const { address, port } = this
    this.#guard = new UdpSocket({ address, port, bufferBytes: GUARD_BUFFER_BYTES }, arena, {
      bound: () => this.#listen(),
      failed: (error) => this.#fail(error),
      received: () => undefined,
      sendFailed: () => undefined,
    })
    this.#server.on('listening', () => {
      this.#bound = true
      if (!this.#closed) events.bound()
    })
    this.#server.on('error', (error) => this.#onError(error))
    this.#server.on('connection', (socket) => events.accepted(socket))
  }

  listen(): void {
    this.#guard.bind()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#server.close()
    void this.#guard.close()
  }

  #listen(): void {
    if (this.#closed) return
    const { address: host, port } = this
    this.#server.listen({
      host,
      port,
      ipv6Only: true,
      exclusive: true,
      reusePort: this.#reusePort,
      backlog: BACKLOG,
    })
  }

  #onError(error: NodeJS.ErrnoException): void {
    // Accepting can fail for want of descriptors; the next one may succeed.
    if (this.#bound) return
    if (this.#reusePort && error.code === 'ENOTSUP') {
      this.#reusePort = false
      this.#listen()
    } else this.#fail(error)
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#closed) return
    this.close()
    this.#events.failed(error)
  }
}
