import type { IoHandler } from '../io.ts'
import { relayedClass } from '../traffic-class.ts'
import { isDtls } from './dtls/client-hello.ts'
import type { DtlsSessions } from './dtls/dtls-sessions.ts'
import type { ClientSocket } from './hand-over/client-socket.ts'
import type { Memory } from './memory.ts'
import { ReceiveRing } from './receive-ring.ts'
import type { RelaySocket } from './relay-sockets.ts'
import type { UdpListener } from './udp-listener.ts'

/** So many batches hold more than the largest buffer of a listener. */
const BATCHES_OF_A_BUFFER = 1024
/** Batches that one turn takes from one socket: the more at once, the longer the runs to one destination. */
const BATCHES_PER_TURN = 4

type DatagramEndpoint = UdpListener | ClientSocket | RelaySocket

export interface DatagramReaderOptions {
  readonly memory: Memory
  readonly sessions: DtlsSessions
  readonly handler: () => IoHandler
}

/** Takes datagrams from sockets that are ready, and hands them to whom they are for. */
export class DatagramReader {
  /** Whether datagrams go on with the DSCP that they came with. */
  keepDscp = true
  readonly #options: DatagramReaderOptions
  /** Datagrams handed over since it was last set to 0. */
  taken = 0
  readonly #ring: ReceiveRing

  constructor(options: DatagramReaderOptions) {
    this.#options = options
    this.#ring = new ReceiveRing(options.memory)
  }

  /** Takes what a socket holds, up to what one turn may; false where it is known to hold no more. */
  take(endpoint: DatagramEndpoint): boolean {
    return this.#take(endpoint, BATCHES_PER_TURN)
  }

  /** Takes all that a socket holds now. */
  drain(endpoint: DatagramEndpoint): void {
    this.#take(endpoint, BATCHES_OF_A_BUFFER)
  }

  #take(endpoint: DatagramEndpoint, batches: number): boolean {
    let more = true
    for (let batch = 0; more && batch < batches; batch++) more = this.#takeBatch(endpoint)
    return more
  }

  /** False where the socket is known to hold no more. */
  #takeBatch(endpoint: DatagramEndpoint): boolean {
    const { socket } = endpoint
    if (!socket.open) return false
    const handler = this.#options.handler()
    const { bytes } = this.#options.memory
    const ring = this.#ring
    const more = ring.receive(socket.fd)
    while (socket.open && ring.next()) {
      this.taken++
      const trafficClass = ring.trafficClass === 0 ? 0 : relayedClass(ring.trafficClass, this.keepDscp)
      if (endpoint.kind === 'relay')
        handler.peerData(endpoint.id, ring.from, bytes, ring.offset, ring.length, trafficClass)
      else this.#fromClient(endpoint.kind === 'client' ? endpoint.listener : endpoint, handler, trafficClass)
    }
    return more
  }

  #fromClient(listener: UdpListener, handler: IoHandler, trafficClass: number): void {
    const { memory, sessions } = this.#options
    let { from, offset, length } = this.#ring
    const { proxied } = listener
    if (proxied) {
      if (!proxied.open(from, memory.bytes, offset, length)) return
      from = proxied.client
      offset = proxied.offset
      length = proxied.length
    }
    if (listener.dtls >= 0 && isDtls(memory.bytes, offset, length))
      sessions.receive(listener, from, offset, length, trafficClass)
    else if (listener.udp >= 0)
      handler.clientData(listener.udp, from, memory.bytes, offset, length, trafficClass)
  }
}
