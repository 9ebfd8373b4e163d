import type { TransportAddress } from '../../../stun/address.ts'
import { formatIp } from '../../../stun/address-text.ts'
import { NumberMap } from '../../../stun/number-map.ts'
import type { PassedStream } from '../../adoption.ts'
import { DEFAULT_STREAM_LIMITS, type IoCounters, type IoHandler, type StreamLimits } from '../../io.ts'
import { AddressCounts } from '../../portable/address-counts.ts'
import type { Endpoints } from '../endpoints.ts'
import type { Memory } from '../memory.ts'
import { BioPair } from '../openssl/bio-pair.ts'
import type { TlsContext } from '../openssl/tls-context.ts'
import { sweepMs } from '../sweep.ts'
import { StreamBridges } from './stream-bridges.ts'
import { StreamBuffers } from './stream-buffers.ts'
import { StreamConnection } from './stream-connection.ts'
import type { StreamEvents, StreamOptions } from './stream-events.ts'
import type { StreamListener } from './stream-listener.ts'
import { StreamListeners } from './stream-listeners.ts'
import { type TcpSocket, TcpSocketFactory } from './tcp-socket.ts'

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

/** All stream clients of one loop: their caps, deadlines and flushes, and the passing of them between loops. */
export class Streams {
  limits: StreamLimits = DEFAULT_STREAM_LIMITS
  readonly listeners: StreamListeners
  readonly #options: StreamsOptions
  readonly #sockets: TcpSocketFactory
  readonly #bios: BioPair
  readonly #bridges: StreamBridges
  readonly #events: StreamEvents
  readonly #open = new Set<StreamConnection>()
  readonly #byLink = new NumberMap<StreamConnection>()
  readonly #byAddress = new AddressCounts()
  /** Those that are to flush: the first of this array. */
  readonly #dirty: (StreamConnection | undefined)[] = []
  #dirtyCount = 0
  /** When connections are looked at that may be overdue. */
  #sweepAt = Number.POSITIVE_INFINITY
  #context: TlsContext | undefined
  /** Links that have ended and were not told of yet. */
  #ended: number[] = []

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#sockets = new TcpSocketFactory(options.memory)
    this.listeners = new StreamListeners({
      ...options,
      sockets: this.#sockets,
      accepted: (listener, socket, remote) => this.#accepted(listener, socket, remote),
    })
    this.#bios = new BioPair(options.memory, 'stream')
    this.#bridges = new StreamBridges(options.memory)
    this.#events = this.#connectionEvents(new StreamBuffers(options.memory))
  }

  /** For handshakes from now on; what went before is closed here and lives on in its sessions. */
  set context(context: TlsContext) {
    this.#context?.close()
    this.#context = context
  }

  /** When `tick` has work, on the clock of `now`. */
  get deadline(): number {
    return Math.min(this.#sweepAt, this.listeners.deadline)
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
    this.listeners.tick(now)
    if (now < this.#sweepAt) return
    for (const connection of this.#open) {
      if (connection.deadline > now) continue
      if (!connection.link) this.#options.counters.streamsRefused['first-message']++
      connection.destroy()
    }
    this.#sweepAt = this.#open.size > 0 ? now + sweepMs(this.limits) : Number.POSITIVE_INFINITY
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
    this.listeners.close()
    for (const connection of this.#open) connection.destroy()
    this.#bridges.close()
    this.settle()
    this.#context?.close()
    this.#bios.close()
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
    this.#sweepAt = Math.min(this.#sweepAt, now() + sweepMs(this.limits))
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
