import { randomInt } from 'node:crypto'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'
import type { Adoption } from '../adoption.ts'
import type { ListenerHandOver } from '../hand-over.ts'
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
import type { TcpPeers } from '../tcp-peers.ts'
import { EPOLLET, EPOLLIN } from './constants.ts'
import { DatagramReader } from './datagram-reader.ts'
import { DTLS_MEMORY_BYTES, DtlsSessions } from './dtls/dtls-sessions.ts'
import { Endpoints } from './endpoints.ts'
import { ClientAdoption } from './hand-over/client-adoption.ts'
import type { ClientSockets } from './hand-over/client-sockets.ts'
import { HandOver } from './hand-over/hand-over.ts'
import { loopClients } from './hand-over/loop-clients.ts'
import type { Loop, LoopOptions } from './loop.ts'
import { Memory } from './memory.ts'
import { trimNativeHeap } from './native-heap.ts'
import { NodeLoop } from './node-loop.ts'
import { onNodeLoop } from './node-tcp-peers.ts'
import { TlsContext } from './openssl/tls-context.ts'
import { PeerErrors } from './peer-errors.ts'
import { Poller } from './poller.ts'
import { RECEIVE_RING_BYTES } from './receive-ring.ts'
import { type RelaySocket, RelaySockets } from './relay-sockets.ts'
import { SEND_MEMORY_BYTES, SendQueue } from './send-queue.ts'
import { STREAM_MEMORY_BYTES } from './streams/stream-buffers.ts'
import { Streams } from './streams/streams.ts'
import { UdpListeners } from './udp-listeners.ts'
import { type UdpSocket, UdpSocketFactory } from './udp-socket.ts'
import { WorkerLoop, type WorkerLoopOptions } from './worker-loop.ts'

/** Poller, socket options and what else is small. */
const SMALL_MEMORY_BYTES = 65_536
/** A relay socket is named once for what comes: half of what waiting for many sockets costs is looking again. */
const RELAY_EVENTS = EPOLLIN | EPOLLET
/** Of the hash that finds clients by their address. */
const SEED_MAX = 2 ** 31

export interface LinuxIoOptions {
  /** Whether the kernel may hand over several datagrams of one sender as one; absent: it may. */
  readonly gather?: boolean
  /** On a thread of its own. */
  readonly thread?: Pick<WorkerLoopOptions, 'afterTurn' | 'observe'>
}

/**
 * RelayIo on Linux system calls and the OpenSSL that Node carries: UDP in batches, runs to one destination as one
 * send, streams and DTLS, all in one loop. Only TCP peers (RFC 6062) go through Node's own sockets.
 */
export class LinuxIo implements RelayIo {
  readonly dontFragment = true
  readonly dtls = true
  readonly trafficClass = true
  readonly peerErrors = true
  readonly sharedPorts: boolean = true
  readonly counters = newIoCounters()
  readonly #memory = new Memory(
    RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + DTLS_MEMORY_BYTES + STREAM_MEMORY_BYTES + SMALL_MEMORY_BYTES,
  )
  readonly #reader: DatagramReader
  readonly #queue = new SendQueue(this.#memory, this.counters)
  readonly #sockets = new UdpSocketFactory(this.#memory)
  readonly #poller = new Poller(this.#memory)
  readonly #errors = new PeerErrors(this.#memory, this.counters)
  readonly #endpoints = new Endpoints(this.#poller)
  readonly #loop: Loop
  readonly #ownThread: boolean
  readonly #streams: Streams
  readonly #sessions: DtlsSessions
  readonly #listeners: UdpListeners
  readonly #clients: ClientSockets
  readonly #handOver: HandOver
  readonly adoption: Adoption
  readonly #relays = new RelaySockets(this.#sockets, (relay) => this.#endpoints.add(relay, RELAY_EVENTS))
  readonly #peers: PeerSockets
  readonly tcpPeers: TcpPeers
  #handler: IoHandler | undefined
  #lastId = 0
  #wakeAt = Number.POSITIVE_INFINITY
  #inTurn = false
  #turnNow = 0
  #flushPending = false
  #closed = false

  constructor({ gather = true, thread }: LinuxIoOptions = {}) {
    this.#sockets.gather = gather
    this.#ownThread = thread !== undefined
    const loop: LoopOptions = {
      poller: this.#poller,
      turn: (events, now) => this.#turn(events, now),
      deadline: () => this.#deadline(),
    }
    this.#loop = thread
      ? new WorkerLoop({ ...loop, ...thread, nodeInUse: () => this.#peers.inUse || this.#streams.bridging })
      : new NodeLoop(loop)
    const shared = {
      memory: this.#memory,
      counters: this.counters,
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      handler: () => this.#started(),
    }
    this.#listeners = new UdpListeners({ ...shared, sockets: this.#sockets })
    this.#sessions = new DtlsSessions({ ...shared, queue: this.#queue, seed: randomInt(SEED_MAX) })
    this.#reader = new DatagramReader({ ...shared, sessions: this.#sessions })
    this.#streams = new Streams({
      ...shared,
      endpoints: this.#endpoints,
      touchedNode: () => this.#loop.nodeHasWork(),
      unsettled: () => this.#flushSoon(),
    })
    this.#clients = loopClients({
      ...shared,
      sockets: this.#sockets,
      listeners: this.#listeners,
      sessions: this.#sessions,
      endpoints: this.#endpoints,
      reader: this.#reader,
    })
    this.adoption = new ClientAdoption({
      ...shared,
      listeners: this.#listeners,
      clients: this.#clients,
      streams: this.#streams,
    })
    this.#handOver = new HandOver({
      ...shared,
      sockets: this.#sockets,
      clients: this.#clients,
      listeners: this.#listeners,
      streams: this.#streams,
      sessions: this.#sessions,
      endpoints: this.#endpoints,
      reader: this.#reader,
      relays: this.#relays,
      turnNode: () => this.#poller.kick(),
      settle: () => this.#settle(),
    })
    this.#peers = new PeerSockets({ ...shared, streams: this.#streams, arena: new Arena() })
    this.tcpPeers = onNodeLoop(this.#peers, this.#loop)
  }

  /** What `kickPoller` takes to make the thread look at its messages. */
  get kickFd(): number {
    return this.#poller.kickFd
  }

  get handOver(): ListenerHandOver | undefined {
    return this.#handOver
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

  /** Once for the process: where the loop has a thread of its own, the control side does it. */
  trimHeap(): void {
    if (!this.#ownThread) trimNativeHeap()
  }

  setStreamLimits(limits: StreamLimits): void {
    this.#streams.limits = limits
    this.#sessions.limits = limits
  }

  keepDscp(kept: boolean): void {
    this.#reader.keepDscp = kept
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const id = ++this.#lastId
    const { protocol } = options
    try {
      if (protocol === 'udp' || protocol === 'dtls') return this.#listenUdp(id, protocol, options)
      const listeners = this.#streams.listen(id, protocol, options)
      const { local } = listeners[0]!
      const descriptors = listeners.map(({ socket }) => socket.fd)
      return { id, protocol, address: formatIp(local), port: local.port, descriptors }
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
    if (listener.unused) {
      this.#clients.forget(listener)
      for (const endpoint of listener.endpoints) this.#endpoints.close(endpoint)
    }
    this.#sessions.settle()
    if (was === 'udp') this.#started().linkClosed(id)
    this.#started().batchEnd()
  }

  setTls(material: TlsMaterial): void {
    const [tls, dtls] = [new TlsContext('tls', material), new TlsContext('dtls', material)]
    this.#streams.context = tls
    this.#sessions.context = dtls
  }

  bindRelay(relay: number, bind: TransportAddress, { dontFragment }: { dontFragment: boolean }): void {
    this.#relays.bind(relay, bind, dontFragment)
    this.#loop.wake()
  }

  closeRelay(relay: number): void {
    const endpoint = this.#relays.remove(relay)
    if (endpoint) {
      this.#endpoints.close(endpoint)
      return
    }
    this.#peers.closeListener(relay)
    this.#loop.nodeHasWork()
  }

  sendToClient(
    link: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass = 0,
  ): void {
    const listener = this.#listeners.get(link)
    if (listener) {
      this.#push(listener.socket, listener.wayTo(to), buffer, offset, length, trafficClass)
      return
    }
    const stream = this.#streams.get(link)
    if (stream) stream.send(buffer, offset, length)
    else this.#sessions.send(link, buffer, offset, length, trafficClass)
    this.#flushSoon()
  }

  sendToPeer(
    relay: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass = 0,
  ): void {
    const endpoint = this.#relays.get(relay)
    if (endpoint) this.#push(endpoint.socket, to, buffer, offset, length, trafficClass)
  }

  closeLink(link: number): void {
    this.#sessions.end(link)
    this.#streams.get(link)?.end()
    this.#flushSoon()
  }

  setLinkInUse(link: number, inUse: boolean): void {
    this.#sessions.setInUse(link, inUse)
    this.#streams.get(link)?.setInUse(inUse)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sessions.close()
    this.#streams.close()
    this.#queue.flush()
    this.#clients.closeAll()
    const listeners = this.#listeners.removeAll().flatMap(({ endpoints }) => endpoints)
    for (const endpoint of [...listeners, ...this.#relays.removeAll()]) this.#endpoints.close(endpoint)
    await Promise.all([this.#loop.stop(), this.#peers.closeAll()])
    this.#poller.close()
  }

  #listenUdp(id: number, protocol: 'udp' | 'dtls', options: ListenerOptions): BoundListener {
    const listener = this.#listeners.listen(id, protocol, options, ({ endpoints }) => {
      for (const endpoint of endpoints) this.#endpoints.add(endpoint)
    })
    const { local } = listener.socket
    if (protocol === 'udp') {
      const proxied = options.proxyFrom !== undefined
      // A balancer’s address is that of many clients.
      const movable = !proxied && !local.isUnspecified
      this.#started().linkOpened({ id, transport: 'udp', local, remote: undefined, proxied, movable })
    }
    return { id, protocol, address: formatIp(local), port: local.port, descriptors: listener.descriptors }
  }

  /** One batch: all that is ready comes in, then all that it gave rise to goes out. */
  #turn(events: number, now: number): number {
    this.#turnNow = now
    this.#inTurn = true
    this.#reader.taken = 0
    let taken = 0
    for (let event = 0; event < events; event++) if (this.#take(event)) taken++
    const messages = Math.max(taken, this.#reader.taken)
    const due = this.#wakeAt <= now
    if (due) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#started().wake()
    }
    this.#sessions.tick(now)
    this.#streams.tick(now)
    this.#clients.tick(now)
    if (messages > 0 || due) this.#started().batchEnd()
    this.#relays.answer(this.#started())
    this.#settle()
    this.#inTurn = false
    return messages
  }

  /** Hands over what a socket holds; false where the descriptor is none of ours. */
  #take(event: number): boolean {
    const fd = this.#poller.ready(event)
    const endpoint = this.#endpoints.get(fd)
    if (!endpoint) {
      if (this.#loop.isNode(fd)) this.#loop.nodeHasWork()
      return false
    }
    if (endpoint.kind === 'stream') endpoint.ready(this.#poller.events(event))
    else if (endpoint.kind === 'tcp-listener') this.#streams.accept(endpoint)
    else if (endpoint.kind === 'relay') this.#takeRelay(endpoint, this.#poller.failed(event))
    else this.#reader.take(endpoint)
    return true
  }

  #takeRelay(relay: RelaySocket, failed: boolean): void {
    if (failed) this.#errors.take(relay, this.#started(), this.#turnNow)
    const left = this.#reader.take(relay)
    if ((left || failed) && relay.socket.open) this.#endpoints.watch(relay, RELAY_EVENTS)
  }

  #push(
    socket: UdpSocket,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    this.#queue.push(socket, to, buffer, offset, length, trafficClass)
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#inTurn || this.#flushPending) return
    this.#flushPending = true
    queueMicrotask(() => {
      this.#flushPending = false
      this.#settle()
    })
  }

  /** Sends what is to be sent, and tells what is to be told. */
  #settle(): void {
    this.#streams.flush()
    this.#sessions.settle()
    this.#streams.settle()
    this.#streams.flush()
    this.#queue.flush()
  }

  #deadline(): number {
    if (this.#relays.answering) return 0
    return Math.min(this.#wakeAt, this.#sessions.deadline, this.#streams.deadline, this.#clients.deadline)
  }

  #started(): IoHandler {
    if (!this.#handler) throw new Error('LinuxIo: call start() before anything else')
    return this.#handler
  }
}
