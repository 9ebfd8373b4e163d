import { randomBytes } from 'node:crypto'
import type { TransportAddress } from '../../stun/address.ts'
import { formatIp, parseAddress } from '../../stun/address-text.ts'
import { NumberMap } from '../../stun/number-map.ts'
import type { BindFailure } from '../../turn/contract.ts'
import {
  type BoundListener,
  type IoHandler,
  LISTENER_BUFFER_BYTES,
  type ListenerOptions,
  newIoCounters,
  RELAY_BUFFER_BYTES,
  type RelayIo,
  type StreamLimits,
  type TlsMaterial,
} from '../io.ts'
import { listenError } from '../listen-error.ts'
import { secureContext } from '../portable/secure-context.ts'
import { Streams } from '../portable/streams.ts'
import { ProxiedDatagrams } from '../proxy/proxied-datagrams.ts'
import { Memory } from './memory.ts'
import { NodeLoop } from './node-loop.ts'
import { Poller } from './poller.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from './receive-ring.ts'
import { SEND_MEMORY_BYTES, SendQueue } from './send-queue.ts'
import { type UdpSocket, UdpSocketFactory } from './udp-socket.ts'

/** Poller, socket options and what else is small. */
const SMALL_MEMORY_BYTES = 65_536
/** Batches that one turn takes from one socket: the more at once, the longer the runs to one destination. */
const BATCHES_PER_TURN = 4
/** Rounds of answers to `bindRelay` in one turn: an answer may ask for the next port. */
const ANSWER_ROUNDS_MAX = 8

/** What the datagrams of a socket are for. */
interface Endpoint {
  readonly socket: UdpSocket
  readonly kind: 'listener' | 'relay'
  /** Of the link, or of the relay socket. */
  readonly id: number
  /** Of a listener whose datagrams balancers put a header in front of. */
  readonly proxied?: ProxiedDatagrams | undefined
}

/**
 * RelayIo on Linux system calls: UDP in batches, runs to one destination as one send, one loop. TCP and TLS go
 * through Node's streams, whose descriptors the same loop watches.
 */
export class LinuxIo implements RelayIo {
  readonly dontFragment = true
  readonly counters = newIoCounters()
  readonly #memory = new Memory(RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + SMALL_MEMORY_BYTES)
  readonly #ring = new ReceiveRing(this.#memory)
  readonly #queue = new SendQueue(this.#memory, this.counters)
  readonly #sockets = new UdpSocketFactory(this.#memory)
  readonly #poller = new Poller(this.#memory)
  readonly #loop: NodeLoop
  readonly #streams: Streams
  readonly #listeners = new Map<number, Endpoint>()
  readonly #relays = new NumberMap<Endpoint>()
  /** By file descriptor. */
  readonly #endpoints: (Endpoint | undefined)[] = []
  #answers: { relay: number; endpoint: Endpoint | undefined; failure: BindFailure | undefined }[] = []
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
      deadline: () => (this.#answers.length > 0 ? 0 : this.#wakeAt),
    })
    this.#streams = new Streams({
      now: this.now,
      nextLinkId: () => ++this.#lastId,
      counters: this.counters,
      handler: () => this.#started(),
    })
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
  }

  async listen(options: ListenerOptions): Promise<BoundListener> {
    const id = ++this.#lastId
    const { protocol } = options
    try {
      if (protocol === 'udp') return this.#listenUdp(id, options)
      const bound = await this.#streams.listen(id, protocol, options)
      return { id, protocol, address: bound.address, port: bound.port }
    } catch (error) {
      throw listenError(options, error as NodeJS.ErrnoException)
    }
  }

  async closeListener(id: number): Promise<void> {
    const listener = this.#listeners.get(id)
    if (!listener) return this.#streams.closeListener(id)
    this.#listeners.delete(id)
    this.#close(listener)
    this.#started().linkClosed(id)
    this.#started().batchEnd()
  }

  setTls(material: TlsMaterial): void {
    this.#streams.secureContext = secureContext(material)
  }

  bindRelay(relay: number, bind: TransportAddress, { dontFragment }: { dontFragment: boolean }): void {
    let endpoint: Endpoint | undefined
    let failure: BindFailure | undefined
    try {
      const socket = this.#sockets.open({ bind, bufferBytes: RELAY_BUFFER_BYTES, dontFragment })
      endpoint = { socket, kind: 'relay', id: relay }
      this.#open(this.#relays, endpoint)
    } catch (error) {
      failure = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'port-in-use' : 'unavailable'
    }
    this.#answers.push({ relay, endpoint, failure })
    this.#loop.wake()
  }

  closeRelay(relay: number): void {
    const endpoint = this.#relays.get(relay)
    this.#relays.delete(relay)
    if (endpoint) this.#close(endpoint)
  }

  sendToClient(link: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    const listener = this.#listeners.get(link)
    if (listener) {
      const way = listener.proxied ? listener.proxied.wayTo(to) : to
      this.#push(listener.socket, way, buffer, offset, length)
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
    this.#streams.get(link)?.end()
    this.#loop.nodeHasWork()
  }

  setLinkInUse(link: number, inUse: boolean): void {
    this.#streams.get(link)?.setInUse(inUse)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#queue.flush()
    for (const endpoint of [...this.#listeners.values(), ...this.#relays.values()]) this.#close(endpoint)
    this.#listeners.clear()
    this.#relays.clear()
    await Promise.all([this.#loop.stop(), this.#streams.close()])
    this.#poller.close()
  }

  #listenUdp(id: number, { protocol, address, port, proxyFrom }: ListenerOptions): BoundListener {
    const bind = parseAddress(address, port)
    if (!bind) throw new Error(`${address} is no literal IP address`)
    const socket = this.#sockets.open({ bind, bufferBytes: LISTENER_BUFFER_BYTES })
    const { local } = socket
    const proxied = proxyFrom && this.#proxiedDatagrams(proxyFrom)
    this.#open(this.#listeners, { socket, kind: 'listener', id, proxied })
    this.#started().linkOpened({ id, transport: 'udp', local, remote: undefined })
    return { id, protocol, address: formatIp(local), port: local.port }
  }

  #open(endpoints: { set(id: number, endpoint: Endpoint): unknown }, endpoint: Endpoint): void {
    this.#poller.add(endpoint.socket.fd)
    this.#endpoints[endpoint.socket.fd] = endpoint
    endpoints.set(endpoint.id, endpoint)
  }

  #close({ socket }: Endpoint): void {
    this.#endpoints[socket.fd] = undefined
    socket.close()
  }

  /** One batch: all that is ready comes in, then all that it gave rise to goes out. */
  #turn(events: number, now: number): boolean {
    this.#turnNow = now
    this.#inTurn = true
    let busy = false
    for (let event = 0; event < events; event++) busy = this.#take(this.#poller.ready(event)) || busy
    const due = this.#wakeAt <= now
    if (due) {
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#started().wake()
    }
    if (busy || due) this.#started().batchEnd()
    this.#answer()
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

  /** False where the socket is known to hold no more. */
  #takeBatch({ socket, kind, id, proxied }: Endpoint): boolean {
    if (!socket.open) return false
    const handler = this.#started()
    const ring = this.#ring
    const { bytes } = this.#memory
    const more = ring.receive(socket.fd)
    while (socket.open && ring.next()) {
      if (proxied) this.#takeProxied(id, proxied)
      else if (kind === 'listener') handler.clientData(id, ring.from, bytes, ring.offset, ring.length)
      else handler.peerData(id, ring.from, bytes, ring.offset, ring.length)
    }
    return more
  }

  #takeProxied(id: number, proxied: ProxiedDatagrams): void {
    const { from, offset, length } = this.#ring
    const { bytes } = this.#memory
    if (!proxied.open(from, bytes, offset, length)) return
    this.#started().clientData(id, proxied.client, bytes, proxied.offset, proxied.length)
  }

  #proxiedDatagrams(from: readonly string[]): ProxiedDatagrams {
    const seed = randomBytes(4).readUInt32LE()
    return new ProxiedDatagrams({ from, counters: this.counters, now: this.now, seed })
  }

  /** Says how `bindRelay` went: later than its call, which may come from within an answer. */
  #answer(): void {
    for (let round = 0; round < ANSWER_ROUNDS_MAX && this.#answers.length > 0; round++) {
      const handler = this.#started()
      const answers = this.#answers
      this.#answers = []
      for (const { relay, endpoint, failure } of answers) {
        if (failure) handler.relayBindFailed(relay, failure)
        else if (this.#relays.get(relay) === endpoint) handler.relayBound(relay)
      }
      handler.batchEnd()
    }
  }

  #push(socket: UdpSocket, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    this.#queue.push(socket, to, buffer, offset, length)
    if (this.#inTurn || this.#flushPending) return
    this.#flushPending = true
    queueMicrotask(() => {
      this.#flushPending = false
      this.#queue.flush()
    })
  }

  #started(): IoHandler {
    if (!this.#handler) throw new Error('LinuxIo: call start() before anything else')
    return this.#handler
  }
}
