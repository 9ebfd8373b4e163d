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
import { DATAGRAM_MEMORY_BYTES, Datagrams } from './datagrams.ts'
import { Endpoints } from './endpoints.ts'
import { ClientAdoption } from './hand-over/client-adoption.ts'
import { HandOver } from './hand-over/hand-over.ts'
import type { Loop, LoopOptions } from './loop.ts'
import { Memory } from './memory.ts'
import { trimNativeHeap } from './native-heap.ts'
import { NodeLoop } from './node-loop.ts'
import { onNodeLoop } from './node-tcp-peers.ts'
import { TlsContext } from './openssl/tls-context.ts'
import { Poller } from './poller.ts'
import { STREAM_MEMORY_BYTES } from './streams/stream-buffers.ts'
import { Streams } from './streams/streams.ts'
import { WorkerLoop, type WorkerLoopOptions } from './worker-loop.ts'

/** Poller, socket options and what else is small. */
const SMALL_MEMORY_BYTES = 65_536

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
  readonly #memory = new Memory(DATAGRAM_MEMORY_BYTES + STREAM_MEMORY_BYTES + SMALL_MEMORY_BYTES)
  readonly #poller = new Poller(this.#memory)
  readonly #endpoints = new Endpoints(this.#poller)
  readonly #loop: Loop
  readonly #ownThread: boolean
  readonly #datagrams: Datagrams
  readonly #streams: Streams
  readonly #handOver: HandOver
  readonly adoption: Adoption
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
    this.#ownThread = thread !== undefined
    const loop: LoopOptions = {
      poller: this.#poller,
      turn: (events, now) => this.#turn(events, now),
      deadline: () => this.#deadline(),
    }
    this.#loop = thread
      ? new WorkerLoop({
          ...loop,
          ...thread,
          memory: this.#memory,
          nodeInUse: () => this.#peers.inUse || this.#streams.bridging,
        })
      : new NodeLoop(loop)
    const shared = {
      memory: this.#memory,
      counters: this.counters,
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      handler: () => this.#started(),
      endpoints: this.#endpoints,
    }
    this.#datagrams = new Datagrams({ ...shared, gather })
    this.#streams = new Streams({
      ...shared,
      touchedNode: () => this.#loop.nodeHasWork(),
      unsettled: () => this.#flushSoon(),
    })
    const sides = { ...shared, datagrams: this.#datagrams, streams: this.#streams }
    this.adoption = new ClientAdoption(sides)
    this.#handOver = new HandOver({
      ...sides,
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
    this.#datagrams.sessions.limits = limits
  }

  keepDscp(kept: boolean): void {
    this.#datagrams.reader.keepDscp = kept
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const id = ++this.#lastId
    const { protocol } = options
    try {
      if (protocol === 'udp' || protocol === 'dtls') return this.#datagrams.listen(id, protocol, options)
      const listeners = this.#streams.listeners.listen(id, protocol, options)
      const { local } = listeners[0]!
      const descriptors = listeners.map(({ socket }) => socket.fd)
      return { id, protocol, address: formatIp(local), port: local.port, descriptors }
    } catch (error) {
      throw listenError(options, error as NodeJS.ErrnoException)
    }
  }

  async closeListener(id: number): Promise<void> {
    if (!this.#datagrams.closeListener(id)) this.#streams.listeners.remove(id)
  }

  setTls(material: TlsMaterial): void {
    const [tls, dtls] = [new TlsContext('tls', material), new TlsContext('dtls', material)]
    this.#streams.context = tls
    this.#datagrams.sessions.context = dtls
  }

  bindRelay(relay: number, bind: TransportAddress, { dontFragment }: { dontFragment: boolean }): void {
    this.#datagrams.relays.bind(relay, bind, dontFragment)
    this.#loop.wake()
  }

  closeRelay(relay: number): void {
    if (this.#datagrams.closeRelay(relay)) return
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
    if (!this.#datagrams.toClient(link, to, buffer, offset, length, trafficClass)) {
      const stream = this.#streams.get(link)
      if (stream) stream.send(buffer, offset, length)
      else this.#datagrams.sessions.send(link, buffer, offset, length, trafficClass)
    }
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
    this.#datagrams.toPeer(relay, to, buffer, offset, length, trafficClass)
    this.#flushSoon()
  }

  closeLink(link: number): void {
    this.#datagrams.sessions.end(link)
    this.#streams.get(link)?.end()
    this.#flushSoon()
  }

  setLinkInUse(link: number, inUse: boolean): void {
    this.#datagrams.sessions.setInUse(link, inUse)
    this.#streams.get(link)?.setInUse(inUse)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#streams.close()
    this.#datagrams.close()
    await Promise.all([this.#loop.stop(), this.#peers.closeAll()])
    this.#poller.close()
  }

  /** One batch: all that is ready comes in, then all that it gave rise to goes out. */
  #turn(events: number, now: number): number {
    this.#turnNow = now
    this.#inTurn = true
    const { reader, relays } = this.#datagrams
    reader.taken = 0
    let taken = 0
    for (let event = 0; event < events; event++) if (this.#take(event)) taken++
    const messages = Math.max(taken, reader.taken)
    const due = this.#wakeAt <= now
    if (due) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#started().wake()
    }
    this.#datagrams.tick(now)
    this.#streams.tick(now)
    if (messages > 0 || due) this.#started().batchEnd()
    relays.answer(this.#started())
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
    else if (endpoint.kind === 'tcp-listener') this.#streams.listeners.accept(endpoint)
    else if (endpoint.kind === 'relay') this.#datagrams.takeRelay(endpoint, this.#poller.failed(event))
    else this.#datagrams.reader.take(endpoint)
    return true
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
    this.#datagrams.sessions.settle()
    this.#streams.settle()
    this.#streams.flush()
    this.#datagrams.queue.flush()
  }

  #deadline(): number {
    if (this.#datagrams.relays.answering) return 0
    return Math.min(this.#wakeAt, this.#datagrams.deadline, this.#streams.deadline)
  }

  #started(): IoHandler {
    if (!this.#handler) throw new Error('LinuxIo: call start() before anything else')
    return this.#handler
  }
}
