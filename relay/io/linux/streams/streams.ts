import { TransportAddress } from '../../../stun/address.ts'
import { formatIp, parseAddress } from '../../../stun/address-text.ts'
import { NumberMap } from '../../../stun/number-map.ts'
import type { PassedStream } from '../../adoption.ts'
import {
  DEFAULT_STREAM_LIMITS,
  type IoCounters,
  type IoHandler,
  type ListenerOptions,
  type StreamLimits,
} from '../../io.ts'
import { AddressCounts } from '../../portable/address-counts.ts'
import { EPOLLIN } from '../constants.ts'
import type { Endpoints } from '../endpoints.ts'
import type { Memory } from '../memory.ts'
import { BioPair } from '../openssl/bio-pair.ts'
import type { TlsContext } from '../openssl/tls-context.ts'
import { sweepMs } from '../sweep.ts'
import { StreamBridges } from './stream-bridges.ts'
import { StreamBuffers } from './stream-buffers.ts'
import { StreamConnection } from './stream-connection.ts'
import type { StreamEvents, StreamOptions } from './stream-events.ts'
import { StreamListener } from './stream-listener.ts'
import { type TcpSocket, TcpSocketFactory } from './tcp-socket.ts'

/** Connections that one listener accepts in one turn; the others wait for the next. */
const ACCEPTS_PER_TURN = 64
/** How long nothing is accepted when descriptors have run out. */
const EXHAUSTED_PAUSE_MS = 100

export interface StreamsOptions {
  readonly memory: Memory
  readonly counters: IoCounters
  readonly now: () => number
  readonly nextLinkId: () => number
  readonly handler: () => IoHandler
  readonly endpoints: Endpoints
  /** Node's own streams have work. */
  readonly touchedNode: () => void
  /** `flush` and `settle` are to be called soon. */
  readonly unsettled: () => void
}

/** All stream clients of one relay: their listening sockets, caps, deadlines and flushes. */
export class Streams {
  limits: StreamLimits = DEFAULT_STREAM_LIMITS
  /** When `tick` has work, on the clock of `now`. */
  deadline = Number.POSITIVE_INFINITY
  readonly #options: StreamsOptions
  readonly #sockets: TcpSocketFactory
  readonly #bios: BioPair
  readonly #bridges: StreamBridges
  readonly #events: StreamEvents
  readonly #listeners = new Set<StreamListener>()
  readonly #open = new Set<StreamConnection>()
  readonly #byLink = new NumberMap<StreamConnection>()
  readonly #byAddress = new AddressCounts()
  /** Those that are to flush: the first of this array. */
  readonly #dirty: (StreamConnection | undefined)[] = []
  #dirtyCount = 0
  #context: TlsContext | undefined
  /** Links that have ended and were not told of yet. */
  #ended: number[] = []

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#sockets = new TcpSocketFactory(options.memory)
    this.#bios = new BioPair(options.memory, 'stream')
    this.#bridges = new StreamBridges(options.memory)
    this.#events = this.#connectionEvents(new StreamBuffers(options.memory))
  }

  /** For handshakes from now on; what went before is closed here and lives on in its sessions. */
  set context(context: TlsContext) {
    this.#context?.close()
    this.#context = context
  }

  /** Opens or shares the socket of an address and port; throws what the system says. */
  listen(id: number, protocol: 'tcp' | 'tls', options: ListenerOptions): readonly StreamListener[] {
    const { address, port, proxyFrom, descriptors = [undefined] } = options
    const shared = this.listeners.filter((one) => one.address === address && one.local.port === port)
    const listeners =
      shared.length > 0 ? shared : descriptors.map((descriptor) => this.#openListener(options, descriptor))
    for (const listener of listeners) listener.addUser(id, protocol, proxyFrom)
    return listeners
  }

  /** Stops accepting where nobody else uses the socket; established streams stay. */
  closeListener(id: number): void {
    for (const listener of this.#listeners) {
      if (!listener.removeUser(id) || !listener.unused) continue
      this.#listeners.delete(listener)
      this.#options.endpoints.close(listener)
    }
  }

  get listeners(): readonly StreamListener[] {
    return [...this.#listeners]
  }

  /** Lets further sockets of this user have the same address and port. */
  share({ socket }: StreamListener): void {
    this.#sockets.share(socket)
  }

  /** Another process accepts from now on. */
  releaseListeners(): void {
    for (const listener of this.#listeners) listener.socket.close()
    this.#listeners.clear()
  }

  get(link: number): StreamConnection | undefined {
    return this.#byLink.get(link)
  }

  /** Whether Node's loop has to look after streams whose clients other event loops have. */
  get bridging(): boolean {
    return this.#bridges.inUse
  }

  /** Gives a stream to another event loop, with a request that came on it; undefined where that cannot be now. */
  give(link: number, request: Uint8Array): PassedStream | undefined {
    const connection = this.#byLink.get(link)
    if (!connection?.link) return undefined
    const { local, serverName } = connection.link
    const transport = connection.link.transport === 'tls' ? 'tls' : 'tcp'
    const given = connection.sealed ? this.#bridge(connection) : this.#release(connection)
    if (!given) return undefined
    const bytes = Buffer.concat([request, given.early])
    return { transport, descriptor: given.descriptor, local, client: connection.remote, serverName, bytes }
  }

  /** Takes a stream that came to another event loop. */
  adopt({ descriptor, local, client, transport, serverName, bytes }: PassedStream): void {
    const socket = this.#sockets.adopt(descriptor)
    const passed = { transport, serverName }
    const options = {
      local,
      remote: client,
      context: () => undefined,
      proxied: false,
      limits: this.limits,
      passed,
    }
    this.#admit(socket, options)?.hear(bytes)
  }

  #bridge(connection: StreamConnection): { descriptor: number; early: Uint8Array } {
    const { stream, early } = connection.detach(() => void stream.destroy())
    return { descriptor: this.#bridges.open(stream), early }
  }

  #release(connection: StreamConnection): { descriptor: number; early: Uint8Array } | undefined {
    const released = connection.release()
    if (!released) return undefined
    this.#options.endpoints.remove(connection)
    this.#forget(connection)
    return released
  }

  /** A listener has connections for us. */
  accept(listener: StreamListener): void {
    for (let i = 0; i < ACCEPTS_PER_TURN && listener.socket.open; i++) {
      const remote = new TransportAddress()
      const socket = this.#sockets.accept(listener.socket, remote)
      if (socket === 'none') return
      if (socket === 'exhausted') {
        listener.pausedUntil = this.#options.now() + EXHAUSTED_PAUSE_MS
        this.#options.endpoints.watch(listener, 0)
        this.deadline = Math.min(this.deadline, listener.pausedUntil)
        return
      }
      this.#accepted(listener, socket, remote)
    }
  }

  /** Writes what was sent since the last time. */
  flush(): void {
    for (let i = 0; i < this.#dirtyCount; i++) {
      const connection = this.#dirty[i]!
      this.#dirty[i] = undefined
      connection.dirty = false
      connection.flush()
    }
    this.#dirtyCount = 0
  }

  /** Closes what is overdue, and accepts again. */
  tick(now: number): void {
    if (now < this.deadline) return
    for (const connection of this.#open) {
      if (connection.deadline > now) continue
      if (!connection.link) this.#options.counters.streamsRefused['first-message']++
      connection.destroy()
    }
    this.deadline = this.#open.size > 0 ? now + sweepMs(this.limits) : Number.POSITIVE_INFINITY
    for (const listener of this.#listeners) this.#resume(listener, now)
  }

  /** Tells of links that have ended, never from within a call that ended them. */
  settle(): void {
    if (this.#ended.length === 0) return
    const ended = this.#ended
    this.#ended = []
    for (const link of ended) this.#options.handler().linkClosed(link)
    this.#options.handler().batchEnd()
  }

  close(): void {
    for (const listener of this.#listeners) this.#options.endpoints.close(listener)
    this.#listeners.clear()
    for (const connection of this.#open) connection.destroy()
    this.#bridges.close()
    this.settle()
    this.#context?.close()
    this.#bios.close()
  }

  #openListener({ address, port, shared }: ListenerOptions, descriptor: number | undefined): StreamListener {
    const at = parseAddress(address, port)
    if (!at) throw new Error(`${address} is no literal IP address`)
    const socket =
      descriptor === undefined ? this.#sockets.listen(at, shared) : this.#sockets.adopt(descriptor)
    const listener = new StreamListener(socket, this.#sockets.localOf(socket), address)
    this.#listeners.add(listener)
    this.#options.endpoints.add(listener)
    return listener
  }

  #resume(listener: StreamListener, now: number): void {
    if (listener.pausedUntil === 0) return
    if (listener.pausedUntil > now) {
      this.deadline = Math.min(this.deadline, listener.pausedUntil)
      return
    }
    listener.pausedUntil = 0
    this.#options.endpoints.watch(listener, EPOLLIN)
  }

  #accepted(listener: StreamListener, socket: TcpSocket, remote: TransportAddress): void {
    this.#admit(socket, {
      local: this.#sockets.localOf(socket),
      remote,
      context: () => (listener.acceptsTls ? this.#context : undefined),
      proxied: listener.trusts(remote),
      limits: this.limits,
    })
  }

  #admit(socket: TcpSocket, options: StreamOptions): StreamConnection | undefined {
    const { counters, now, endpoints } = this.#options
    const { proxied, remote } = options
    const ofAddress = proxied ? undefined : this.#byAddress.refusal(formatIp(remote), this.limits)
    const refusal = this.#open.size >= this.limits.total ? 'total' : ofAddress
    if (refusal) {
      counters.streamsRefused[refusal]++
      socket.close()
      return undefined
    }
    const connection = new StreamConnection(socket, options, this.#events)
    if (!proxied) this.#count(connection)
    this.#open.add(connection)
    counters.streamsOpen = this.#open.size
    this.deadline = Math.min(this.deadline, now() + sweepMs(this.limits))
    endpoints.add(connection, connection.watched)
    return connection
  }

  #count(connection: StreamConnection): void {
    connection.counted = true
    this.#byAddress.opened(connection.remoteIp)
  }

  #connectionEvents(buffers: StreamBuffers): StreamEvents {
    const { now, nextLinkId, counters, handler, endpoints, touchedNode } = this.#options
    return {
      buffers,
      bios: this.#bios,
      now,
      nextLinkId,
      identified: (connection) => {
        const refusal = this.#byAddress.refusal(connection.remoteIp, this.limits)
        if (refusal) counters.streamsRefused[refusal]++
        else this.#count(connection)
        return refusal === undefined
      },
      headerRefused: () => void counters.proxyHeadersRefused++,
      opened: (connection) => {
        this.#byLink.set(connection.link!.id, connection)
        handler().linkOpened(connection.link!)
      },
      received: ({ link, remote }, buffer, offset, length) => {
        handler().clientData(link!.id, remote, buffer, offset, length, 0)
      },
      decide: () => handler().batchEnd(),
      wantsFlush: (connection) => this.#flushSoon(connection),
      crowded: () => this.flush(),
      watch: (connection, events) => endpoints.watch(connection, events),
      touchedNode,
      proved: ({ remoteIp }) => this.#byAddress.proved(remoteIp),
      closed: (connection) => this.#forget(connection),
      frameDropped: () => void counters.clientQueueDrops++,
      framingFailed: () => void counters.framingErrors++,
      handshakeFailed: () => void counters.tlsHandshakeFailures++,
    }
  }

  #flushSoon(connection: StreamConnection): void {
    if (connection.dirty || connection.closed) return
    connection.dirty = true
    this.#dirty[this.#dirtyCount++] = connection
    this.#options.unsettled()
  }

  #forget(connection: StreamConnection): void {
    const { counters, endpoints, unsettled } = this.#options
    endpoints.close(connection)
    this.#open.delete(connection)
    counters.streamsOpen = this.#open.size
    if (connection.counted) this.#byAddress.closed(connection.remoteIp, connection.halfOpen)
    const { link } = connection
    if (!link || !this.#byLink.delete(link.id)) return
    this.#ended.push(link.id)
    unsettled()
  }
}
