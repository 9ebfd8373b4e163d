import { formatIp } from '../../../stun/address-text.ts'
import type { HandedListeners, ListenerHandOver, ListeningSocket } from '../../hand-over.ts'
import type { IoHandler } from '../../io.ts'
import type { Datagrams } from '../datagrams.ts'
import type { Endpoints } from '../endpoints.ts'
import type { Streams } from '../streams/streams.ts'
import type { ClientSockets } from './client-sockets.ts'

/** Sockets that are opened between two turns of the loop. */
const CLIENTS_AT_ONCE = 64
/** Rounds in which clients come that were not there in the one before. */
const ROUNDS_MAX = 32

interface HandOverOptions {
  readonly datagrams: Datagrams
  readonly streams: Streams
  readonly endpoints: Endpoints
  readonly handler: () => IoHandler
  /** Lets Node's loop of the thread turn soon. */
  readonly turnNode: () => void
  /** Sends what is to be sent. */
  readonly settle: () => void
}

/** Hands the listening sockets of one loop over to another process; see `ListenerHandOver`. */
export class HandOver implements ListenerHandOver {
  readonly #options: HandOverOptions
  readonly #datagrams: Datagrams
  readonly #clients: ClientSockets
  #released = false

  constructor(options: HandOverOptions) {
    this.#options = options
    this.#datagrams = options.datagrams
    this.#clients = options.datagrams.clients
  }

  async prepare(): Promise<void> {
    for (const listener of this.#datagrams.listeners.all()) this.#guard(() => this.#clients.begin(listener))
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = this.#clients.missing()
      if (missing.length === 0) return
      for (let next = 0; next < missing.length; next += CLIENTS_AT_ONCE) {
        this.#guard(() => {
          for (const place of missing.slice(next, next + CLIENTS_AT_ONCE)) this.#clients.open(place)
        })
        const turned = new Promise<void>((resolve) => setImmediate(resolve))
        this.#options.turnNode()
        await turned
      }
    }
  }

  /**
   * What live clients have sent before they had sockets of their own lies in the listeners, with what new ones send.
   * It is taken in, and whoever becomes live by it gets a socket as well, until nobody does: after that a listener
   * holds nothing of theirs.
   */
  release(): HandedListeners {
    const { listeners, sessions, sockets, reader } = this.#datagrams
    const { streams, endpoints } = this.#options
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const missing = this.#clients.missing()
      this.#guard(() => {
        for (const place of missing) this.#clients.open(place)
      })
      if (round > 0 && missing.length === 0) break
      for (const endpoint of listeners.endpoints) reader.drain(endpoint)
      this.#settle()
    }
    this.#released = true
    for (const endpoint of listeners.endpoints) {
      endpoints.remove(endpoint)
      // A relay with more event loops has further sockets there.
      sockets.share(endpoint.socket)
    }
    for (const listener of streams.listeners.all()) {
      endpoints.remove(listener)
      streams.listeners.share(listener)
      listener.pausedUntil = 0
    }
    const handed = [
      ...listeners.endpoints.map(({ socket: { fd, local } }) =>
        listening('udp', formatIp(local), local.port, fd),
      ),
      ...streams.listeners
        .all()
        .map(({ socket, local, address }) => listening('tcp', address, local.port, socket.fd)),
    ]
    return { sockets: handed, cookieSecrets: [sessions.cookies.secret] }
  }

  acceptCookies(secrets: readonly Uint8Array[]): void {
    this.#datagrams.sessions.cookies.accept(secrets)
  }

  resume(): void {
    if (!this.#released) return
    this.#released = false
    const { listeners } = this.#datagrams
    const { streams, endpoints } = this.#options
    for (const endpoint of [...listeners.endpoints, ...streams.listeners.all()]) endpoints.add(endpoint)
  }

  finish(): void {
    const { listeners } = this.#datagrams
    const { streams } = this.#options
    this.#settle()
    for (const { socket } of listeners.endpoints) socket.close()
    for (const listener of listeners.all()) listener.others = []
    this.#clients.takeSenders()
    streams.listeners.release()
  }

  /** Gives all that came in its effect, relay sockets included. */
  #settle(): void {
    const { handler, settle } = this.#options
    handler().batchEnd()
    this.#datagrams.relays.answer(handler())
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
