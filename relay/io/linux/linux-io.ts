import { randomInt } from 'node:crypto'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'
import {
  type BoundListener,
  type IoHandler,
  type ListenerOptions,
  newIoCounters,
  type RelayIo,
  type StreamLimits,
  type TlsMaterial,
} from '../io.ts'
import { listenError } from '../listen-error.ts'
import { Arena } from '../portable/arena.ts'
import { PeerSockets } from '../portable/peer-sockets.ts'
import { secureContext } from '../portable/secure-context.ts'
import { Streams } from '../portable/streams.ts'
import type { TcpPeers } from '../tcp-peers.ts'
import { isDtls } from './dtls/client-hello.ts'
import { DTLS_MEMORY_BYTES, DtlsSessions } from './dtls/dtls-sessions.ts'
import { Memory } from './memory.ts'
import { NodeLoop } from './node-loop.ts'
import { onNodeLoop } from './node-tcp-peers.ts'
import { TlsContext } from './openssl/tls-context.ts'
import { PeerErrors } from './peer-errors.ts'
import { Poller } from './poller.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from './receive-ring.ts'
import { type RelaySocket, RelaySockets } from './relay-sockets.ts'
import { SEND_MEMORY_BYTES, SendQueue } from './send-queue.ts'
import type { UdpListener } from './udp-listener.ts'
import { UdpListeners } from './udp-listeners.ts'
import { type UdpSocket, UdpSocketFactory } from './udp-socket.ts'

/** Poller, socket options and what else is small. */
const SMALL_MEMORY_BYTES = 65_536
/** Batches that one turn takes from one socket: the more at once, the longer the runs to one destination. */
const BATCHES_PER_TURN = 4

/** Of the hash that finds clients by their address. */
const SEED_MAX = 2 ** 31

/**
 * RelayIo on Linux system calls: UDP in batches, runs to one destination as one send, one loop. TCP and TLS go
 * through Node's streams, whose descriptors the same loop watches.
 */
export class LinuxIo implements RelayIo {
  readonly dontFragment = true
  readonly dtls = true
  readonly peerErrors = true
  readonly counters = newIoCounters()
  readonly #memory = new Memory(
    RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + DTLS_MEMORY_BYTES + SMALL_MEMORY_BYTES,
  )
  readonly #ring = new ReceiveRing(this.#memory)
  readonly #queue = new SendQueue(this.#memory, this.counters)
  readonly #sockets = new UdpSocketFactory(this.#memory)
  readonly #poller = new Poller(this.#memory)
  readonly #errors = new PeerErrors(this.#memory, this.counters)
  readonly #loop: NodeLoop
  readonly #streams: Streams
  readonly #sessions: DtlsSessions
  readonly #listeners: UdpListeners
  readonly #relays = new RelaySockets(this.#sockets, (relay) => this.#watch(relay))
  readonly #peers: PeerSockets
  readonly tcpPeers: TcpPeers
  /** By file descriptor. */
  readonly #endpoints: (UdpListener | RelaySocket | undefined)[] = []
  #handler: IoHandler | undefined
  #lastId = 0
  #wakeAt = Number.POSITIVE_INFINITY
  #inTurn = false
  #turnNow = 0
  #flushPending = false
  #closed = false

  constructor() {
    this.#loop = new NodeLoop({
      poller: this.#poller,
      turn: (events, now) => this.#turn(events, now),
      deadline: () => this.#deadline(),
    })
    const { counters, now } = this
    this.#listeners = new UdpListeners({ sockets: this.#sockets, counters, now })
    this.#sessions = new DtlsSessions({
      memory: this.#memory,
      queue: this.#queue,
      counters: this.counters,
      seed: randomInt(SEED_MAX),
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      handler: () => this.#started(),
    })
    this.#streams = new Streams({
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      counters: this.counters,
      handler: () => this.#started(),
    })
    this.#peers = new PeerSockets({
      streams: this.#streams,
      arena: new Arena(),
      now: this.now,
      handler: () => this.#started(),
    })
    this.tcpPeers = onNodeLoop(this.#peers, this.#loop)
  }

  start(handler: IoHandler): void {
    this.#handler = handler
    this.#loop.start()
  }

  now = (): number => (this.#inTurn ? this.#turnNow : performance.now())

  wakeAt(atMs: number): void {
    const earlier = atMs < this.#wakeAt
    this.#wakeAt = atMs
    if (earlier) this.#loop.wake()
  }

  setStreamLimits(limits: StreamLimits): void {
    this.#streams.limits = limits
    this.#sessions.limits = limits
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const id = ++this.#lastId
    const { protocol } = options
    try {
      if (protocol === 'udp' || protocol === 'dtls') return this.#listenUdp(id, protocol, options)
      const bound = await this.#streams.listen(id, protocol, options)
      return { id, protocol, address: bound.address, port: bound.port }
    } catch (error) {
      throw listenError(options, error as NodeJS.ErrnoException)
    }
  }

  async closeListener(id: number): Promise<void> {
    const listener = this.#listeners.get(id)
    if (!listener) return this.#streams.closeListener(id)
    this.#sessions.closeListener(id)
    this.#queue.flush()
    const was = this.#listeners.remove(id)
    if (listener.unused) this.#close(listener)
    this.#sessions.settle()
    if (was === 'udp') this.#started().linkClosed(id)
    this.#started().batchEnd()
  }

  setTls(material: TlsMaterial): void {
    this.#streams.secureContext = secureContext(material)
    this.#sessions.context = new TlsContext('dtls', material)
  }

  bindRelay(relay: number, bind: TransportAddress, { dontFragment }: { dontFragment: boolean }): void {
    this.#relays.bind(relay, bind, dontFragment)
    this.#loop.wake()
  }

  closeRelay(relay: number): void {
    const endpoint = this.#relays.remove(relay)
    if (endpoint) {
      this.#close(endpoint)
      return
    }
    this.#peers.closeListener(relay)
    this.#loop.nodeHasWork()
  }

  sendToClient(link: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    const listener = this.#listeners.get(link)
    if (listener) {
      this.#push(listener.socket, listener.wayTo(to), buffer, offset, length)
      return
    }
    if (this.#sessions.has(link)) {
      this.#sessions.send(link, buffer, offset, length)
      this.#flushSoon()
      return
    }
    this.#streams.get(link)?.send(buffer, offset, length)
    this.#loop.nodeHasWork()
  }

  sendToPeer(relay: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    const endpoint = this.#relays.get(relay)
    if (endpoint) this.#push(endpoint.socket, to, buffer, offset, length)
  }

  closeLink(link: number): void {
    this.#sessions.end(link)
    if (this.#sessions.unsettled) this.#loop.wake()
    this.#streams.get(link)?.end()
    this.#loop.nodeHasWork()
  }

  setLinkInUse(link: number, inUse: boolean): void {
    this.#sessions.setInUse(link, inUse)
    this.#streams.get(link)?.setInUse(inUse)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sessions.close()
    this.#queue.flush()
    for (const endpoint of [...this.#listeners.removeAll(), ...this.#relays.removeAll()])
      this.#close(endpoint)
    await Promise.all([this.#loop.stop(), this.#streams.close(), this.#peers.closeAll()])
    this.#poller.close()
  }

  #listenUdp(id: number, protocol: 'udp' | 'dtls', options: ListenerOptions): BoundListener {
    const { socket } = this.#listeners.listen(id, protocol, options, (opened) => this.#watch(opened))
    const { local } = socket
    if (protocol === 'udp') this.#started().linkOpened({ id, transport: 'udp', local, remote: undefined })
    return { id, protocol, address: formatIp(local), port: local.port }
  }

  #watch(endpoint: UdpListener | RelaySocket): void {
    this.#poller.add(endpoint.socket.fd)
    this.#endpoints[endpoint.socket.fd] = endpoint
  }

  #close({ socket }: UdpListener | RelaySocket): void {
    if (socket.open) this.#endpoints[socket.fd] = undefined
    socket.close()
  }

  /** One batch: all that is ready comes in, then all that it gave rise to goes out. */
  #turn(events: number, now: number): boolean {
    this.#turnNow = now
    this.#inTurn = true
    let busy = false
    for (let event = 0; event < events; event++) {
      const fd = this.#poller.ready(event)
      if (this.#poller.failed(event)) this.#takeErrors(fd)
      busy = this.#take(fd) || busy
    }
    const due = this.#wakeAt <= now
    if (due) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#started().wake()
    }
    this.#sessions.tick(now)
    if (busy || due) this.#started().batchEnd()
    this.#sessions.settle()
    this.#relays.answer(this.#started())
    this.#inTurn = false
    this.#queue.flush()
    return busy
  }

  /** Hands over what a socket holds; false where the descriptor is none of ours. */
  #take(fd: number): boolean {
    const endpoint = this.#endpoints[fd]
    if (endpoint) {
      let more = true
      for (let batch = 0; more && batch < BATCHES_PER_TURN; batch++) more = this.#takeBatch(endpoint)
      return true
    }
    if (this.#loop.isNode(fd)) this.#loop.nodeHasWork()
    return false
  }

  #takeErrors(fd: number): void {
    const endpoint = this.#endpoints[fd]
    if (endpoint?.kind === 'relay') this.#errors.take(endpoint, this.#started(), this.#turnNow)
  }

  /** False where the socket is known to hold no more. */
  #takeBatch(endpoint: UdpListener | RelaySocket): boolean {
    const { socket } = endpoint
    if (!socket.open) return false
    const handler = this.#started()
    const ring = this.#ring
    const { bytes } = this.#memory
    const more = ring.receive(socket.fd)
    while (socket.open && ring.next()) {
      if (endpoint.kind === 'listener') this.#fromClient(endpoint)
      else handler.peerData(endpoint.id, ring.from, bytes, ring.offset, ring.length)
    }
    return more
  }

  #fromClient(listener: UdpListener): void {
    const { bytes } = this.#memory
    let { from, offset, length } = this.#ring
    const { proxied } = listener
    if (proxied) {
      if (!proxied.open(from, bytes, offset, length)) return
      from = proxied.client
      offset = proxied.offset
      length = proxied.length
    }
    if (listener.dtls >= 0 && isDtls(bytes, offset, length))
      this.#sessions.receive(listener, from, offset, length)
    else if (listener.udp >= 0) this.#started().clientData(listener.udp, from, bytes, offset, length)
  }

  #push(socket: UdpSocket, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    this.#queue.push(socket, to, buffer, offset, length)
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#inTurn || this.#flushPending) return
    this.#flushPending = true
    queueMicrotask(() => {
      this.#flushPending = false
      this.#queue.flush()
    })
  }

  #deadline(): number {
    if (this.#relays.answering || this.#sessions.unsettled) return 0
    return Math.min(this.#wakeAt, this.#sessions.deadline)
  }

  #started(): IoHandler {
    if (!this.#handler) throw new Error('LinuxIo: call start() before anything else')
    return this.#handler
  }
}
