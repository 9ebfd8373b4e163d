import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type SecureContext, TLSSocket } from 'node:tls'
import { TransportAddress } from '../../stun/address.ts'
import { formatIp, parseAddress } from '../../stun/address-text.ts'
import { type Frame, StreamFramer } from '../../stun/framing.ts'
import { CLASS, METHOD, messageType } from '../../stun/methods.ts'
import type { ProxyHeader } from '../../stun/proxy-header.ts'
import type { Link } from '../../turn/contract.ts'
import type { StreamLimits } from '../io.ts'
import { StreamPreface } from '../proxy/stream-preface.ts'
import { StreamWriter } from './stream-writer.ts'

/** What a connection tells its owner. */
export interface StreamEvents {
  readonly now: () => number
  /** The id of the link that opens with the first whole message. */
  readonly nextLinkId: () => number
  /** A balancer has said who the client is; false where that one has too many streams. */
  identified(connection: StreamConnection): boolean
  /** A balancer has sent something else than a header. */
  headerRefused(): void
  opened(connection: StreamConnection): void
  received(connection: StreamConnection, buffer: Uint8Array, offset: number, length: number): void
  /** All that one read brought was handed over. */
  readEnded(): void
  /** Frames were queued: call `flush` before the loop turns. */
  wantsFlush(connection: StreamConnection): void
  closed(connection: StreamConnection): void
  /** It is in use for the first time. */
  proved(connection: StreamConnection): void
  frameDropped(): void
  framingFailed(): void
  handshakeFailed(): void
}

export interface StreamOptions {
  /** Absent: TLS is not spoken. */
  readonly secureContext: SecureContext | undefined
  /** Whether a balancer puts a header in front. */
  readonly proxied: boolean
  readonly limits: StreamLimits
  readonly events: StreamEvents
}

/** First byte of a TLS record that carries a handshake (RFC 8446 §5.1); no STUN method in use starts so. */
const TLS_HANDSHAKE_BYTE = 0x16
/** How long a stream that is being closed may take to deliver what is queued. */
const CLOSE_GRACE_MS = 2_000
const CONNECTION_BIND = messageType(METHOD.ConnectionBind, CLASS.Request)
const ALPN_PROTOCOLS = ['stun.turn', 'stun.nat-discovery']

/** One accepted connection: tells TLS from plain by its first byte, cuts frames, bounds what it may hold. */
export class StreamConnection {
  /** Undefined until the first whole message. */
  link: Link | undefined
  /** When it is closed unless something happens, on the clock of `now`. */
  deadline: number
  remoteIp: string
  /** Counted by its owner under that address. */
  counted = false
  /** Never in use so far. */
  halfOpen = true
  readonly #socket: Socket
  readonly #events: StreamEvents
  readonly #limits: StreamLimits
  readonly #framer = new StreamFramer()
  readonly #remote: TransportAddress
  readonly #local: TransportAddress
  /** The stream that carries frames: the socket, or TLS over it. */
  #stream: Socket
  #writer: StreamWriter | undefined
  #secured: boolean
  readonly #onData = (data: Buffer): void => this.#read(data)
  #inUse = false
  /** What became of it where it is the client's end of a splice: how to end that. */
  #endSplice: (() => void) | undefined
  #ending = false
  #closed = false

  constructor(socket: Socket, { secureContext, proxied, limits, events }: StreamOptions) {
    this.#socket = socket
    this.#stream = socket
    this.#secured = false
    this.#limits = limits
    this.#events = events
    this.remoteIp = socket.remoteAddress ?? ''
    this.#remote = parseAddress(this.remoteIp, socket.remotePort ?? 0) ?? new TransportAddress()
    this.#local = parseAddress(socket.localAddress ?? '', socket.localPort ?? 0) ?? new TransportAddress()
    this.deadline = events.now() + limits.firstMessageSeconds * 1000
    socket.setNoDelay(true)
    socket.setKeepAlive(true, 60_000)
    socket.on('error', () => this.destroy())
    socket.on('close', () => this.#onClose())
    if (proxied) this.#readPreface(new StreamPreface(), secureContext)
    else socket.once('data', (chunk: Buffer) => this.#detect(chunk, secureContext))
  }

  get remote(): TransportAddress {
    return this.#remote
  }

  send(buffer: Uint8Array, offset: number, length: number): void {
    if (this.#closed || this.#ending || this.#endSplice || !this.#writer) return
    this.#writer.push(buffer, offset, length)
    this.#events.wantsFlush(this)
  }

  flush(): void {
    if (!this.#closed) this.#writer?.flush()
  }

  setInUse(inUse: boolean): void {
    this.#inUse = inUse
    this.#extend()
    if (!inUse || !this.halfOpen || this.#closed) return
    this.halfOpen = false
    this.#events.proved(this)
  }

  /**
   * Gives away the stream, after all that is queued, and the bytes that came behind the last frame: it carries
   * no frames any more (RFC 6062 §5.4). `end` is called where it is to be ended.
   */
  detach(end: () => void): { readonly stream: Duplex; readonly early: Uint8Array } {
    this.setInUse(true)
    this.#endSplice = end
    this.#stream.off('data', this.#onData)
    this.#stream.pause()
    this.#writer?.release()
    return { stream: this.#stream, early: this.#framer.takeRest() }
  }

  /** Delivers what is queued within a short grace, then closes. */
  end(): void {
    if (this.#ending || this.#closed) return
    if (this.#endSplice) {
      this.#endSplice()
      return
    }
    this.#ending = true
    this.deadline = this.#events.now() + CLOSE_GRACE_MS
    this.flush()
    this.#stream.end()
  }

  destroy(): void {
    this.#stream.destroy()
    this.#socket.destroy()
  }

  #readPreface(preface: StreamPreface, secureContext: SecureContext | undefined): void {
    this.#socket.once('data', (chunk: Buffer) => {
      const taken = preface.take(chunk)
      if (taken === 0) this.#readPreface(preface, secureContext)
      else if (taken < 0) {
        this.#events.headerRefused()
        this.destroy()
      } else if (!this.#identify(preface.header)) this.destroy()
      else if (taken < chunk.length) this.#detect(chunk.subarray(taken), secureContext)
      else this.#socket.once('data', (next: Buffer) => this.#detect(next, secureContext))
    })
  }

  /** A balancer that checks whether the relay lives is a client itself. */
  #identify({ relayed, source, destination }: ProxyHeader): boolean {
    if (relayed) {
      this.#remote.copyFrom(source)
      this.#local.copyFrom(destination)
      this.remoteIp = formatIp(source)
    }
    return this.#events.identified(this)
  }

  #detect(chunk: Buffer, secureContext: SecureContext | undefined): void {
    if (chunk[0] === TLS_HANDSHAKE_BYTE && secureContext) {
      this.#startTls(chunk, secureContext)
      return
    }
    this.#writer = this.#newWriter()
    this.#socket.on('data', this.#onData)
    this.#read(chunk)
  }

  #startTls(hello: Buffer, secureContext: SecureContext): void {
    this.#socket.pause()
    this.#socket.unshift(hello)
    const stream = new TLSSocket(this.#socket, {
      isServer: true,
      secureContext,
      ALPNCallback: chooseProtocol,
    })
    this.#stream = stream
    stream.on('error', () => {
      if (!this.#secured && !this.#closed) this.#events.handshakeFailed()
      this.destroy()
    })
    stream.on('close', () => this.#socket.destroy())
    stream.on('secure', () => {
      this.#secured = true
      this.#writer = this.#newWriter()
      stream.on('data', this.#onData)
    })
  }

  #newWriter(): StreamWriter {
    return new StreamWriter(this.#stream, this.#limits.queueBytes, () => this.#events.frameDropped())
  }

  #read(data: Buffer): void {
    if (this.#closed || this.#ending) return
    this.#framer.push(data, 0, data.length)
    for (let frame = this.#framer.next(); frame; frame = this.#framer.next()) {
      if (!this.link) this.#open()
      this.#extend()
      const mayBind = isConnectionBind(frame)
      this.#events.received(this, frame.buffer, frame.offset, frame.length)
      if (mayBind) this.#events.readEnded()
      if (this.#closed || this.#ending || this.#endSplice) break
    }
    if (this.#framer.failed) {
      this.#events.framingFailed()
      this.destroy()
    }
    this.#events.readEnded()
  }

  #open(): void {
    this.link = {
      id: this.#events.nextLinkId(),
      transport: this.#secured ? 'tls' : 'tcp',
      local: this.#local,
      remote: this.#remote,
      serverName: this.#serverName(),
    }
    this.#events.opened(this)
  }

  /** TLSSocket says `false` where the client named none. */
  #serverName(): string | undefined {
    const { servername } = this.#stream as Partial<Pick<TLSSocket, 'servername'>>
    return servername || undefined
  }

  #extend(): void {
    if (this.#ending) return
    this.deadline = this.#inUse
      ? Number.POSITIVE_INFINITY
      : this.#events.now() + this.#limits.idleSeconds * 1000
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stream.destroy()
    this.#events.closed(this)
  }
}

/** A request after which bytes may be none of frames (RFC 6062 §5.4). */
function isConnectionBind({ buffer, offset }: Frame): boolean {
  return buffer[offset] === CONNECTION_BIND >>> 8 && buffer[offset + 1] === (CONNECTION_BIND & 0xff)
}

/** RFC 7443: ours where it is offered; a client that offers only others is not worth refusing for it. */
function chooseProtocol({ protocols }: { protocols: string[] }): string | undefined {
  return ALPN_PROTOCOLS.find((protocol) => protocols.includes(protocol)) ?? protocols[0]
}
