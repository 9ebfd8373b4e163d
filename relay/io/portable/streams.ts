import type { Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import { parseAddress } from '../../stun/address-text.ts'
import {
  DEFAULT_STREAM_LIMITS,
  type IoCounters,
  type IoHandler,
  type ListenerOptions,
  type StreamLimits,
} from '../io.ts'
import { AddressCounts } from './address-counts.ts'
import { StreamConnection, type StreamEvents } from './stream-connection.ts'
import { StreamListener } from './stream-listener.ts'

/** Bounds of the pause between two looks at the deadlines of streams. */
const SWEEP_MIN_MS = 10
const SWEEP_MAX_MS = 1_000

export interface StreamsOptions {
  readonly now: () => number
  readonly nextLinkId: () => number
  readonly counters: IoCounters
  readonly handler: () => IoHandler
}

/** All stream clients of one relay: their listening sockets, caps, deadlines and flushes. */
export class Streams {
  secureContext: SecureContext | undefined
  limits: StreamLimits = DEFAULT_STREAM_LIMITS
  readonly #options: StreamsOptions
  readonly #events: StreamEvents
  readonly #listeners = new Map<string, Promise<StreamListener>>()
  readonly #open = new Set<StreamConnection>()
  readonly #byLink = new Map<number, StreamConnection>()
  readonly #byAddress = new AddressCounts()
  readonly #dirty = new Set<StreamConnection>()
  #sweep: NodeJS.Timeout | undefined
  #emptied: (() => void) | undefined

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#events = this.#connectionEvents()
  }

  /** Opens or shares the socket of an address and port. */
  async listen(
    id: number,
    protocol: 'tcp' | 'tls',
    { address, port, proxyFrom }: ListenerOptions,
  ): Promise<StreamListener> {
    const key = `${address}|${port}`
    const shared = port === 0 ? undefined : this.#listeners.get(key)
    const opening =
      shared ?? StreamListener.open({ address, port }, (from, socket) => this.#accept(from, socket))
    if (!shared && port !== 0) this.#listeners.set(key, opening)
    try {
      const listener = await opening
      listener.addUser(id, protocol, proxyFrom)
      this.#listeners.set(`${address}|${listener.port}`, opening)
      return listener
    } catch (error) {
      if (this.#listeners.get(key) === opening) this.#listeners.delete(key)
      throw error
    }
  }

  async closeListener(id: number): Promise<void> {
    for (const [key, opening] of this.#listeners) {
      const listener = await opening
      if (!listener.removeUser(id) || !listener.unused) continue
      this.#listeners.delete(key)
      await listener.close()
    }
  }

  get(link: number): StreamConnection | undefined {
    return this.#byLink.get(link)
  }

  async close(): Promise<void> {
    const listeners = await Promise.all(this.#listeners.values())
    this.#listeners.clear()
    await Promise.all(listeners.map((listener) => listener.close()))
    const emptied = new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    for (const connection of this.#open) connection.destroy()
    if (this.#open.size > 0) await emptied
  }

  #accept(listener: StreamListener, socket: Socket): void {
    const ip = socket.remoteAddress ?? ''
    const remote = parseAddress(ip, 0)
    const proxied = remote !== undefined && listener.trusts(remote)
    const refusal =
      this.#open.size >= this.limits.total ? 'total' : !proxied && this.#byAddress.refusal(ip, this.limits)
    if (refusal) {
      this.#options.counters.streamsRefused[refusal]++
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    const secureContext = listener.acceptsTls ? this.secureContext : undefined
    const connection = new StreamConnection(socket, {
      secureContext,
      proxied,
      limits: this.limits,
      events: this.#events,
    })
    if (!proxied) this.#count(connection)
    this.#open.add(connection)
    this.#options.counters.streamsOpen = this.#open.size
    this.#sweep ??= setInterval(() => this.#closeOverdue(), this.#sweepMs())
  }

  #count(connection: StreamConnection): void {
    connection.counted = true
    this.#byAddress.opened(connection.remoteIp)
  }

  #connectionEvents(): StreamEvents {
    const { now, nextLinkId, counters, handler } = this.#options
    return {
      now,
      nextLinkId,
      identified: (connection) => {
        const refusal = this.#byAddress.refusal(connection.remoteIp, this.limits)
        if (refusal) {
          counters.streamsRefused[refusal]++
          return false
        }
        this.#count(connection)
        return true
      },
      headerRefused: () => void counters.proxyHeadersRefused++,
      opened: (connection) => {
        this.#byLink.set(connection.link!.id, connection)
        handler().linkOpened(connection.link!)
      },
      received: ({ link, remote }, buffer, offset, length) => {
        handler().clientData(link!.id, remote, buffer, offset, length, 0)
      },
      readEnded: () => handler().batchEnd(),
      wantsFlush: (connection) => this.#flushSoon(connection),
      closed: (connection) => this.#forget(connection),
      proved: ({ remoteIp }) => this.#byAddress.proved(remoteIp),
      frameDropped: () => void counters.clientQueueDrops++,
      framingFailed: () => void counters.framingErrors++,
      handshakeFailed: () => void counters.tlsHandshakeFailures++,
    }
  }

  /** One write for all that the other sockets of this turn of the loop bring. */
  #flushSoon(connection: StreamConnection): void {
    if (this.#dirty.size === 0) setImmediate(() => this.#flushDirty())
    this.#dirty.add(connection)
  }

  #flushDirty(): void {
    const connections = [...this.#dirty]
    this.#dirty.clear()
    for (const connection of connections) connection.flush()
  }

  #closeOverdue(): void {
    const now = this.#options.now()
    for (const connection of this.#open) {
      if (connection.deadline > now) continue
      if (!connection.link) this.#options.counters.streamsRefused['first-message']++
      connection.destroy()
    }
  }

  #sweepMs(): number {
    const shortest = Math.min(this.limits.firstMessageSeconds, this.limits.idleSeconds) * 1000
    return Math.min(SWEEP_MAX_MS, Math.max(SWEEP_MIN_MS, shortest / 4))
  }

  #forget(connection: StreamConnection): void {
    this.#open.delete(connection)
    this.#dirty.delete(connection)
    this.#options.counters.streamsOpen = this.#open.size
    if (connection.counted) this.#byAddress.closed(connection.remoteIp, connection.halfOpen)
    if (this.#open.size === 0) {
      clearInterval(this.#sweep)
      this.#sweep = undefined
      this.#emptied?.()
    }
    if (!connection.link) return
    this.#byLink.delete(connection.link.id)
    this.#options.handler().linkClosed(connection.link.id)
    this.#options.handler().batchEnd()
  }
}
