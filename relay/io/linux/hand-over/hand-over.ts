import { formatIp } from '../../../stun/address-text.ts'
import type { HandedListeners, ListenerHandOver, ListeningSocket } from '../../hand-over.ts'
import type { IoHandler } from '../../io.ts'
import type { DatagramReader } from '../datagram-reader.ts'
import type { DtlsSessions } from '../dtls/dtls-sessions.ts'
import type { Endpoints } from '../endpoints.ts'
import type { RelaySockets } from '../relay-sockets.ts'
import type { Streams } from '../streams/streams.ts'
import type { UdpListener } from '../udp-listener.ts'
import type { UdpListeners } from '../udp-listeners.ts'
import { ClientSockets, type ClientSocketsOptions } from './client-sockets.ts'

/** Sockets that are opened between two turns of the loop. */
const CLIENTS_AT_ONCE = 64
/** Rounds in which clients come that were not there in the one before. */
const ROUNDS_MAX = 32
/** How often sockets are looked for whose clients have gone. */
const SWEEP_MS = 2_000

interface HandOverOptions extends Pick<ClientSocketsOptions, 'sockets'> {
  readonly listeners: UdpListeners
  readonly streams: Streams
  readonly sessions: DtlsSessions
  readonly endpoints: Endpoints
  readonly reader: DatagramReader
  readonly now: () => number
  readonly relays: RelaySockets
  readonly handler: () => IoHandler
  /** Sends what is to be sent. */
  readonly settle: () => void
}

/** Hands the listening sockets of one loop over to another process; see `ListenerHandOver`. */
export class HandOver implements ListenerHandOver {
  /** When `tick` has work, on the clock of `now`. */
  deadline = Number.POSITIVE_INFINITY
  readonly #options: HandOverOptions
  readonly #clients: ClientSockets

  constructor(options: HandOverOptions) {
    const { sockets, sessions, endpoints, reader, handler } = options
    this.#options = options
    this.#clients = new ClientSockets({
      sockets,
      clientsOf: ({ udp, dtls }) => [...(handler().clientsOf?.(udp) ?? []), ...sessions.clientsOf(dtls)],
      opened: (client) => {
        endpoints.add(client)
        reader.drain(client)
      },
      closed: (client) => {
        reader.drain(client)
        endpoints.close(client)
      },
    })
  }

  async prepare(): Promise<void> {
    this.deadline = this.#options.now() + SWEEP_MS
    for (const listener of this.#options.listeners.all()) this.#guard(() => this.#clients.begin(listener))
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = this.#clients.missing()
      if (missing.length === 0) return
      for (let next = 0; next < missing.length; next += CLIENTS_AT_ONCE) {
        this.#guard(() => {
          for (const place of missing.slice(next, next + CLIENTS_AT_ONCE)) this.#clients.open(place)
        })
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    }
  }

  /**
   * What live clients have sent before they had sockets of their own lies in the listeners, with what new ones send.
   * It is taken in, and whoever becomes live by it gets a socket as well, until nobody does: after that a listener
   * holds nothing of theirs.
   */
  release(): HandedListeners {
    const { listeners, streams, sessions, endpoints, reader } = this.#options
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = this.#clients.missing()
      this.#guard(() => {
        for (const place of missing) this.#clients.open(place)
      })
      if (round > 0 && missing.length === 0) break
      for (const listener of listeners.all()) reader.drain(listener)
      this.#settle()
    }
    for (const listener of listeners.all()) endpoints.remove(listener)
    for (const listener of streams.listeners) {
      endpoints.remove(listener)
      listener.pausedUntil = 0
    }
    const sockets = [
      ...listeners
        .all()
        .map(({ socket: { fd, local } }) => listening('udp', formatIp(local), local.port, fd)),
      ...streams.listeners.map(({ socket, local, address }) =>
        listening('tcp', address, local.port, socket.fd),
      ),
    ]
    return { sockets, cookieSecret: sessions.cookies.secret }
  }

  acceptCookies(secret: Uint8Array): void {
    this.#options.sessions.cookies.accept(secret)
  }

  resume(): void {
    const { listeners, streams, endpoints } = this.#options
    for (const listener of [...listeners.all(), ...streams.listeners]) endpoints.add(listener)
  }

  finish(): void {
    const { listeners, streams } = this.#options
    this.#settle()
    for (const { socket } of listeners.all()) socket.close()
    this.#clients.takeSenders()
    streams.releaseListeners()
  }

  /** A listener is closed for good. */
  forget(listener: UdpListener): void {
    this.#clients.forget(listener)
  }

  /** Closes the sockets of clients that have gone. */
  tick(now: number): void {
    if (now < this.deadline) return
    this.deadline = this.#clients.sweep() ? now + SWEEP_MS : Number.POSITIVE_INFINITY
  }

  close(): void {
    this.#clients.closeAll()
  }

  /** Gives all that came in its effect, relay sockets included. */
  #settle(): void {
    const { handler, relays, settle } = this.#options
    handler().batchEnd()
    relays.answer(handler())
    settle()
  }

  #guard(open: () => void): void {
    try {
      open()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error
      throw new Error('no descriptors are left for a socket of each client: raise the limit of open files')
    }
  }
}

function listening(
  transport: ListeningSocket['transport'],
  address: string,
  port: number,
  descriptor: number,
): ListeningSocket {
  return { transport, address, port, descriptor }
}
