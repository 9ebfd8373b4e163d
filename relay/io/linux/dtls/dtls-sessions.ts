import type { TransportAddress } from '../../../stun/address.ts'
import { DEFAULT_STREAM_LIMITS, type IoCounters, type IoHandler, type StreamLimits } from '../../io.ts'
import type { Memory } from '../memory.ts'
import { TIMEVAL_BYTES } from '../openssl/dtls-session.ts'
import type { TlsContext } from '../openssl/tls-context.ts'
import type { SendQueue } from '../send-queue.ts'
import { sweepMs } from '../sweep.ts'
import { type ClientHello, RANDOM_BYTES, readClientHello } from './client-hello.ts'
import { HelloCookies } from './cookies.ts'
import { DtlsConnection, type DtlsListener } from './dtls-connection.ts'
import { DtlsRecords } from './dtls-records.ts'
import { DtlsTable } from './dtls-table.ts'

/** Handshakes under way at once: each costs a signature and memory for who has shown no more than an address. */
const HANDSHAKES_MAX = 1_000

export interface DtlsSessionsOptions {
  readonly memory: Memory
  readonly queue: SendQueue
  readonly counters: IoCounters
  readonly seed: number
  readonly now: () => number
  readonly nextLinkId: () => number
  readonly handler: () => IoHandler
}

/** All clients that speak DTLS 1.2 (RFC 6347, RFC 7350): cookies, handshakes, caps, deadlines. */
export class DtlsSessions {
  limits: StreamLimits = DEFAULT_STREAM_LIMITS
  readonly cookies: HelloCookies
  /** When `tick` has work, on the clock of `now`. */
  deadline = Number.POSITIVE_INFINITY
  readonly #options: DtlsSessionsOptions
  readonly #records: DtlsRecords
  readonly #timeval: number
  readonly #table: DtlsTable
  readonly #handshaking = new Set<DtlsConnection>()
  #context: TlsContext | undefined
  /** Links that have ended and were not told of yet. */
  #ended: number[] = []

  constructor(options: DtlsSessionsOptions) {
    const { memory, seed } = options
    this.#options = options
    this.#records = new DtlsRecords(options)
    this.cookies = new HelloCookies(options.now())
    this.#timeval = memory.take(TIMEVAL_BYTES)
    this.#table = new DtlsTable(seed)
  }

  /** For handshakes from now on; what went before is closed here and lives on in its sessions. */
  set context(context: TlsContext) {
    this.#context?.close()
    this.#context = context
  }

  /** One datagram of DTLS at `offset` of the memory. */
  receive(
    listener: DtlsListener,
    from: TransportAddress,
    offset: number,
    length: number,
    trafficClass: number,
  ): void {
    const { bytes } = this.#options.memory
    const known = this.#table.find(listener.dtls, from)
    const hello = readClientHello(bytes, offset, length)
    if (hello && !known?.beganWith(bytes, hello.random)) this.#greet(listener, from, offset, length, hello)
    else if (known) this.#continue(known, offset, length, trafficClass)
  }

  send(link: number, buffer: Uint8Array, offset: number, length: number, trafficClass: number): void {
    const connection = this.#table.get(link)
    if (!connection?.secured) return
    if (!this.#records.send(connection, buffer, offset, length, trafficClass))
      this.#options.counters.sendErrors++
  }

  setInUse(link: number, inUse: boolean): void {
    const connection = this.#table.get(link)
    if (!connection) return
    connection.inUse = inUse
    if (inUse) this.#table.proved(connection)
    this.#extend(connection)
  }

  /** Says goodbye to a client. */
  end(link: number): void {
    this.#end(this.#table.get(link))
  }

  hasClient(listener: number, client: TransportAddress): boolean {
    return this.#table.find(listener, client) !== undefined
  }

  clientsOf(listener: number): TransportAddress[] {
    return this.#table.ofListener(listener).map(({ remote }) => remote)
  }

  /** Ends the sessions of a listener, whose socket is about to be closed. */
  closeListener(id: number): void {
    for (const connection of this.#table.ofListener(id)) this.#end(connection)
  }

  /** Sends again what was lost of handshakes, and closes what is overdue. */
  tick(now: number): void {
    if (now < this.deadline) return
    for (const connection of this.#handshaking) {
      if (connection.retransmitAt <= now) this.#retransmit(connection)
    }
    for (const connection of this.#table.all()) {
      if (connection.deadline > now) continue
      if (!connection.opened) this.#options.counters.streamsRefused['first-message']++
      this.#end(connection)
    }
    this.deadline = this.#table.size > 0 ? now + sweepMs(this.limits) : Number.POSITIVE_INFINITY
    for (const { retransmitAt } of this.#handshaking) this.deadline = Math.min(this.deadline, retransmitAt)
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
    for (const connection of this.#table.all()) this.#end(connection)
    this.settle()
    this.#context?.close()
    this.#records.close()
  }

  /** A ClientHello that begins a connection: only one with a good cookie costs more than an answer. */
  #greet(
    listener: DtlsListener,
    from: TransportAddress,
    offset: number,
    length: number,
    { random, cookie, cookieLength }: ClientHello,
  ): void {
    const { memory, counters } = this.#options
    const { bytes } = memory
    const now = this.#options.now()
    if (!this.#context || this.#handshaking.size >= HANDSHAKES_MAX) return
    if (!this.cookies.verify(from, bytes, random, cookie, cookieLength, now)) {
      this.#records.sendHelloVerify(listener, from, offset, this.cookies.make(from, bytes, random, now))
      return
    }
    // Whoever holds the address now may begin anew (RFC 6347 §4.2.8).
    this.#end(this.#table.find(listener.dtls, from))
    const refusal = this.#table.refusal(from, this.limits)
    if (refusal) counters.streamsRefused[refusal]++
    else this.#accept(this.#context, listener, from, offset, length, random)
  }

  #accept(
    context: TlsContext,
    listener: DtlsListener,
    from: TransportAddress,
    offset: number,
    length: number,
    random: number,
  ): void {
    const { memory, now, nextLinkId, counters } = this.#options
    const session = this.#records.newSession(context)
    if (!this.#records.feed(offset, length) || !session.listen()) {
      session.free()
      this.#records.drain()
      counters.tlsHandshakeFailures++
      return
    }
    const id = nextLinkId()
    const remote = from.clone()
    const link = { id, transport: 'dtls', local: listener.socket.local, remote } as const
    const deadline = now() + this.limits.firstMessageSeconds * 1000
    const connection = new DtlsConnection(
      link,
      listener,
      session,
      memory.bytes.slice(random, random + RANDOM_BYTES),
      deadline,
    )
    this.#table.add(connection)
    counters.dtlsSessionsOpen = this.#table.size
    this.#handshaking.add(connection)
    this.#handshake(connection)
    if (connection.closed) this.#records.drain()
  }

  #continue(connection: DtlsConnection, offset: number, length: number, trafficClass: number): void {
    if (this.#records.feed(offset, length)) {
      if (!connection.secured) this.#handshake(connection)
      if (connection.secured) this.#read(connection, trafficClass)
    }
    if (connection.closed) this.#records.drain()
  }

  #handshake(connection: DtlsConnection): void {
    const state = connection.session.handshake()
    this.#records.transmit(connection)
    if (state === 'failed') {
      this.#options.counters.tlsHandshakeFailures++
      this.#end(connection)
    } else if (state === 'done') {
      connection.secured = true
      this.#handshaking.delete(connection)
    } else {
      this.#await(connection)
    }
    this.#dueBy(connection.deadline)
  }

  #read(connection: DtlsConnection, trafficClass: number): void {
    const { memory, handler } = this.#options
    const { session, link, remote } = connection
    while (!connection.closed) {
      const length = this.#records.read(connection)
      if (length < 0) this.#end(connection)
      if (length <= 0) return
      if (!connection.opened) {
        connection.opened = true
        handler().linkOpened({ ...link, serverName: session.serverName })
      }
      this.#extend(connection)
      handler().clientData(link.id, remote, memory.bytes, this.#records.plain, length, trafficClass)
    }
  }

  #retransmit(connection: DtlsConnection): void {
    const going = connection.session.handleTimeout()
    this.#records.transmit(connection)
    if (going) this.#await(connection)
    else this.#end(connection)
  }

  #await(connection: DtlsConnection): void {
    const { memory, now } = this.#options
    connection.retransmitAt = now() + connection.session.timeoutMs(memory, this.#timeval)
    this.#dueBy(connection.retransmitAt)
  }

  #extend(connection: DtlsConnection): void {
    const { now } = this.#options
    connection.deadline = connection.inUse ? Number.POSITIVE_INFINITY : now() + this.limits.idleSeconds * 1000
  }

  #end(connection: DtlsConnection | undefined): void {
    if (!connection || connection.closed) return
    connection.closed = true
    if (connection.secured) connection.session.shutdown()
    this.#records.transmit(connection)
    connection.session.free()
    this.#handshaking.delete(connection)
    this.#table.remove(connection)
    this.#options.counters.dtlsSessionsOpen = this.#table.size
    if (connection.opened) this.#ended.push(connection.link.id)
  }

  #dueBy(at: number): void {
    this.deadline = Math.min(this.deadline, at, this.#options.now() + sweepMs(this.limits))
  }
}
