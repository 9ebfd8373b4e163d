import { EPOLLIN } from './constants.ts'
import type { ClientSocket } from './hand-over/client-socket.ts'
import type { Poller } from './poller.ts'
import type { RelaySocket } from './relay-sockets.ts'
import type { StreamConnection } from './streams/stream-connection.ts'
import type { StreamListener } from './streams/stream-listener.ts'
import type { UdpListener } from './udp-listener.ts'

/** What a descriptor of the loop is for. */
export type Endpoint = UdpListener | ClientSocket | RelaySocket | StreamListener | StreamConnection

/** What the loop watches, by file descriptor. */
export class Endpoints {
  readonly #poller: Poller
  readonly #byFd: (Endpoint | undefined)[] = []

  constructor(poller: Poller) {
    this.#poller = poller
  }

  get(fd: number): Endpoint | undefined {
    return this.#byFd[fd]
  }

  /** Watches it for what comes in; with EPOLLET whoever leaves something there has to `watch` it again. */
  add(endpoint: Endpoint, events = EPOLLIN): void {
    this.#poller.add(endpoint.socket.fd, events)
    this.#byFd[endpoint.socket.fd] = endpoint
  }

  watch({ socket }: Endpoint, events: number): void {
    this.#poller.watch(socket.fd, events)
  }

  /** Watches it no more; what comes in waits. */
  remove({ socket }: Endpoint): void {
    this.#poller.remove(socket.fd)
    this.#byFd[socket.fd] = undefined
  }

  /** Closes its descriptor, which ends the watching. */
  close(endpoint: Endpoint): void {
    const { socket } = endpoint
    if (this.#byFd[socket.fd] === endpoint) this.#byFd[socket.fd] = undefined
    socket.close()
  }
}
