import type { IoCounters, IoHandler } from '../io.ts'
import { ErrorQueue } from './error-queue.ts'
import type { Memory } from './memory.ts'
import type { RelaySocket } from './relay-sockets.ts'

/** What ICMP said that one relay socket hands on in a second; more is somebody's flood. */
export const PEER_ERRORS_PER_SECOND = 20

/** Hands on what ICMP says of the datagrams that relay sockets sent. */
export class PeerErrors {
  readonly #queue: ErrorQueue
  readonly #counters: Pick<IoCounters, 'peerErrorsDropped'>

  constructor(memory: Memory, counters: Pick<IoCounters, 'peerErrorsDropped'>) {
    this.#queue = new ErrorQueue(memory)
    this.#counters = counters
  }

  /** One batch: what is left makes the poller name the socket again. */
  take({ id, socket, errorBudget }: RelaySocket, handler: IoHandler, now: number): void {
    const errors = this.#queue
    errors.receive(socket.fd)
    while (socket.open && errors.next()) {
      if (!errorBudget.take(1, PEER_ERRORS_PER_SECOND, now)) this.#counters.peerErrorsDropped++
      else handler.peerError?.(id, errors.peer, errors.type, errors.code, errors.mtu)
    }
  }
}
