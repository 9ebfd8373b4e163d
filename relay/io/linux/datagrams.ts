import { randomInt } from 'node:crypto'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'
import type { BoundListener, IoCounters, IoHandler, ListenerOptions } from '../io.ts'
import { EPOLLET, EPOLLIN } from './constants.ts'
import { DatagramReader } from './datagram-reader.ts'
import { DTLS_MEMORY_BYTES } from './dtls/dtls-records.ts'
import { DtlsSessions } from './dtls/dtls-sessions.ts'
import type { Endpoints } from './endpoints.ts'
import type { ClientSockets } from './hand-over/client-sockets.ts'
import { loopClients } from './hand-over/loop-clients.ts'
import type { Memory } from './memory.ts'
import { PeerErrors } from './peer-errors.ts'
import { RECEIVE_RING_BYTES } from './receive-ring.ts'
import { type RelaySocket, RelaySockets } from './relay-sockets.ts'
import { SEND_MEMORY_BYTES, SendQueue } from './send-queue.ts'
import { UdpListeners } from './udp-listeners.ts'
import { UdpSocketFactory } from './udp-socket.ts'

/** A relay socket is named once for what comes: half of what waiting for many sockets costs is looking again. */
const RELAY_EVENTS = EPOLLIN | EPOLLET
/** Of the hash that finds clients by their address. */
const SEED_MAX = 2 ** 31

/** What the batches and DTLS take of a `Memory`; the sockets want little more. */
export const DATAGRAM_MEMORY_BYTES = RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + DTLS_MEMORY_BYTES

interface DatagramsOptions {
  readonly memory: Memory
  readonly counters: IoCounters
  readonly now: () => number
  readonly nextLinkId: () => number
  readonly handler: () => IoHandler
  readonly endpoints: Endpoints
  /** Whether the kernel may hand over several datagrams of one sender as one. */
  readonly gather: boolean
}

/** The UDP side of one loop: who listens, who relays, what comes in from either, and what waits to go out. */
export class Datagrams {
  readonly sockets: UdpSocketFactory
  readonly queue: SendQueue
  readonly listeners: UdpListeners
  readonly sessions: DtlsSessions
  readonly reader: DatagramReader
  readonly clients: ClientSockets
  readonly relays: RelaySockets
  readonly #now: () => number
  readonly #handler: () => IoHandler
  readonly #endpoints: Endpoints
  readonly #errors: PeerErrors

  constructor({ gather, ...options }: DatagramsOptions) {
    const { memory, counters, endpoints, handler, now } = options
    this.#now = now
    this.#handler = handler
    this.#endpoints = endpoints
    this.sockets = new UdpSocketFactory(memory)
    this.sockets.gather = gather
    this.queue = new SendQueue(memory, counters)
    this.#errors = new PeerErrors(memory, counters)
    this.listeners = new UdpListeners({ ...options, sockets: this.sockets })
    this.sessions = new DtlsSessions({ ...options, queue: this.queue, seed: randomInt(SEED_MAX) })
    this.reader = new DatagramReader({ ...options, sessions: this.sessions })
    this.relays = new RelaySockets(this.sockets, (relay) => endpoints.add(relay, RELAY_EVENTS))
    this.clients = loopClients({
      ...options,
      sockets: this.sockets,
      listeners: this.listeners,
      sessions: this.sessions,
      reader: this.reader,
    })
  }

  /** When there is something to do although nothing came, on the clock of `now`. */
  get deadline(): number {
    return Math.min(this.sessions.deadline, this.clients.deadline)
  }

  /** Throws what the system says. */
  listen(id: number, protocol: 'udp' | 'dtls', options: ListenerOptions): BoundListener {
    const listener = this.listeners.listen(id, protocol, options, ({ endpoints }) => {
      for (const endpoint of endpoints) this.#endpoints.add(endpoint)
    })
    const { local } = listener.socket
    if (protocol === 'udp') {
      const proxied = options.proxyFrom !== undefined
      // A balancer’s address is that of many clients.
      const movable = !proxied && !local.isUnspecified
      this.#handler().linkOpened({ id, transport: 'udp', local, remote: undefined, proxied, movable })
    }
    return { id, protocol, address: formatIp(local), port: local.port, descriptors: listener.descriptors }
  }

  /** False where no listener has this id. */
  closeListener(id: number): boolean {
    const listener = this.listeners.get(id)
    if (!listener) return false
    this.sessions.closeListener(id)
    this.queue.flush()
    const was = this.listeners.remove(id)
    if (listener.unused) {
      this.clients.forget(listener)
      for (const endpoint of listener.endpoints) this.#endpoints.close(endpoint)
    }
    this.sessions.settle()
    if (was === 'udp') this.#handler().linkClosed(id)
    this.#handler().batchEnd()
    return true
  }

  /** False where no relay socket has this id. */
  closeRelay(id: number): boolean {
    const relay = this.relays.remove(id)
    if (relay) this.#endpoints.close(relay)
    return relay !== undefined
  }

  /** Takes what came to a relay socket; `failed`: among it what ICMP says. */
  takeRelay(relay: RelaySocket, failed: boolean): void {
    if (failed) this.#errors.take(relay, this.#handler(), this.#now())
    const left = this.reader.take(relay)
    if ((left || failed) && relay.socket.open) this.#endpoints.watch(relay, RELAY_EVENTS)
  }

  /** Queues what a UDP listener sends to a client; false where no listener has this id. */
  toClient(
    listener: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): boolean {
    const from = this.listeners.get(listener)
    if (!from) return false
    this.queue.push(from.socket, from.wayTo(to), buffer, offset, length, trafficClass)
    return true
  }

  /** Queues what a relay socket sends. */
  toPeer(
    relay: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    const from = this.relays.get(relay)
    if (from) this.queue.push(from.socket, to, buffer, offset, length, trafficClass)
  }

  /** Does what is due. */
  tick(now: number): void {
    this.sessions.tick(now)
    this.clients.tick(now)
  }

  close(): void {
    this.sessions.close()
    this.queue.flush()
    this.clients.closeAll()
    const listeners = this.listeners.removeAll().flatMap(({ endpoints }) => endpoints)
    for (const endpoint of [...listeners, ...this.relays.removeAll()]) this.#endpoints.close(endpoint)
  }
}
