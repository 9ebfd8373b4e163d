import type { Duplex } from 'node:stream'
import type { TransportAddress } from '../../../stun/address.ts'
import { formatIp } from '../../../stun/address-text.ts'
import { StreamFramer } from '../../../stun/framing.ts'
import type { Link } from '../../../turn/contract.ts'
import { StreamPreface } from '../../proxy/stream-preface.ts'
import { EPOLLET, EPOLLOUT } from '../constants.ts'
import { TlsSession } from '../openssl/tls-session.ts'
import { isConnectionBind } from './connection-bind.ts'
import { RawStream } from './raw-stream.ts'
import { mayHoldMore, OVER, READING } from './readiness.ts'
import { READ_BYTES } from './stream-buffers.ts'
import type { StreamEvents, StreamOptions } from './stream-events.ts'
import { StreamOutput } from './stream-output.ts'
import type { TcpSocket } from './tcp-socket.ts'
import { HANDSHAKE_BYTE, TlsInput } from './tls-input.ts'

/** How long a stream that is being closed may take to deliver what is queued. */
const CLOSE_GRACE_MS = 2_000

/** One accepted connection: tells TLS from plain by its first byte, cuts frames, bounds what it may hold. */
export class StreamConnection {
  readonly kind = 'stream'
  readonly socket: TcpSocket
  /** Undefined until the first whole message. */
  link: Link | undefined
  /** When it is closed unless something happens, on the clock of `now`. */
  deadline: number
  readonly remote: TransportAddress
  remoteIp: string
  /** Counted by its owner under that address. */
  counted = false
  /** Never in use so far. */
  halfOpen = true
  closed = false
  /** In the list of those that are to flush. */
  dirty = false
  /** What its descriptor is watched for: each change is told once. */
  watched = READING | EPOLLET
  readonly #events: StreamEvents
  readonly #options: StreamOptions
  readonly #output: StreamOutput
  readonly #framer = new StreamFramer()
  readonly #takePlain = (at: number, length: number): boolean => {
    this.#receive(at, length)
    return !this.closed
  }
  readonly #preface: StreamPreface | undefined
  #phase: 'preface' | 'detect' | 'handshake' | 'frames' | 'raw'
  #tls: TlsInput | undefined
  #raw: RawStream | undefined
  #inUse = false
  #ending = false
  #peerEnded = false
  #shut = false

  constructor(socket: TcpSocket, options: StreamOptions, events: StreamEvents) {
    const { remote, limits, proxied } = options
    this.socket = socket
    this.#options = options
    this.#events = events
    this.remote = remote
    this.remoteIp = formatIp(remote)
    this.deadline = events.now() + limits.firstMessageSeconds * 1000
    this.#output = new StreamOutput(socket, events.buffers, limits.queueBytes, () => events.frameDropped())
    this.#preface = proxied ? new StreamPreface() : undefined
    this.#phase = proxied ? 'preface' : 'detect'
  }

  /** The descriptor is ready: takes what is there. */
  ready(flags: number): void {
    if (this.#output.waiting) this.#events.wantsFlush(this)
    const over = (flags & OVER) !== 0
    if (this.#peerEnded && over) this.destroy()
    if (this.#peerEnded || this.closed || (flags & (READING | OVER)) === 0) return
    if (this.#raw?.stopped && !over) return
    const at = this.#events.buffers.read
    const length = this.socket.receive(at, READ_BYTES)
    if (length > 0) this.#take(at, length)
    else if (length === 0) this.#endOfStream()
    else if (length < -1) this.destroy()
    if (mayHoldMore(length, flags) && !this.closed) this.#events.watch(this, this.watched)
  }

  send(buffer: Uint8Array, offset: number, length: number): void {
    if (this.closed || this.#ending || this.#phase !== 'frames') return
    if (!this.#output.push(buffer, offset, length)) {
      this.#events.crowded()
      this.#output.push(buffer, offset, length)
    }
    this.#events.wantsFlush(this)
  }

  /** Writes what was sent, and goes on with what waited for that. */
  flush(): void {
    if (this.closed) return
    this.#output.flush()
    if (this.#output.idle) {
      this.#raw?.drained()
      if (this.#ending) this.#shutdown()
    }
    if (this.#output.broken || (this.#shut && this.#peerEnded)) this.destroy()
    else this.#watch()
  }

  setInUse(inUse: boolean): void {
    this.#inUse = inUse
    this.#extend()
    if (!inUse || !this.halfOpen || this.closed) return
    this.halfOpen = false
    this.#events.proved(this)
  }

  /**
   * Gives away the stream, after all that is queued, and the bytes that came behind the last frame: it carries
   * no frames any more (RFC 6062 §5.4). `end` is called where it is to be ended.
   */
  detach(end: () => void): { readonly stream: Duplex; readonly early: Uint8Array } {
    this.setInUse(true)
    this.#phase = 'raw'
    const port = {
      watch: () => this.#watch(),
      framesGone: () => this.#output.framesGone(),
      write: (bytes: Uint8Array) => this.#output.pushRaw(bytes),
      idle: () => this.#output.idle,
      shutdown: () => this.#shutdown(),
      destroy: () => this.destroy(),
    }
    this.#raw = new RawStream(port, end)
    if (this.#peerEnded) this.#raw.push(null)
    this.#events.wantsFlush(this)
    this.#events.touchedNode()
    return { stream: this.#raw, early: this.#framer.takeRest() }
  }

  /** Whether what it carries is encrypted here. */
  get sealed(): boolean {
    return this.#tls !== undefined
  }

  /**
   * Gives away the descriptor and the bytes that came behind the last frame, to be forgotten by its owner; undefined
   * where something has still to be sent.
   */
  release(): { readonly descriptor: number; readonly early: Uint8Array } | undefined {
    this.#output.flush()
    if (this.closed || this.#ending || this.#phase !== 'frames' || !this.#output.idle) return undefined
    this.closed = true
    this.#output.close()
    return { descriptor: this.socket.release(), early: this.#framer.takeRest() }
  }

  /** Frames that came to another event loop. */
  hear(bytes: Uint8Array): void {
    this.#phase = 'frames'
    this.#cut(bytes, 0, bytes.length)
  }

  /** Delivers what is queued within a short grace, then closes. */
  end(): void {
    if (this.#ending || this.closed) return
    if (this.#raw) {
      this.#raw.endSplice()
      this.#events.touchedNode()
      return
    }
    this.#ending = true
    this.deadline = this.#events.now() + CLOSE_GRACE_MS
    this.#events.wantsFlush(this)
  }

  destroy(): void {
    if (this.closed) return
    this.closed = true
    this.#output.close()
    this.#tls?.session.free()
    if (this.#raw) {
      this.#raw.destroy()
      this.#events.touchedNode()
    }
    this.#events.closed(this)
  }

  /** Bytes of the network. */
  #take(at: number, length: number): void {
    if (this.#phase === 'preface') this.#takePreface(at, length)
    else if (this.#phase === 'detect') this.#detect(at, length)
    else if (this.#tls) this.#decrypt(this.#tls, at, length)
    else this.#receive(at, length)
  }

  #takePreface(at: number, length: number): void {
    const preface = this.#preface!
    const taken = preface.take(this.#events.buffers.memory.bytes.subarray(at, at + length))
    if (taken === 0) return
    if (taken < 0) {
      this.#events.headerRefused()
      this.destroy()
      return
    }
    this.#phase = 'detect'
    const { relayed, source, destination } = preface.header
    // A balancer that checks whether the relay lives is a client itself.
    if (relayed) {
      this.remote.copyFrom(source)
      this.#options.local.copyFrom(destination)
      this.remoteIp = formatIp(source)
    }
    if (!this.#events.identified(this)) this.destroy()
    else if (taken < length) this.#detect(at + taken, length - taken)
  }

  #detect(at: number, length: number): void {
    const context = this.#options.context()
    const { bios, buffers } = this.#events
    if (buffers.memory.bytes[at] !== HANDSHAKE_BYTE || !context) {
      this.#phase = 'frames'
      this.#receive(at, length)
      return
    }
    this.#phase = 'handshake'
    const session = new TlsSession(context, bios, buffers.memory)
    this.#output.encryption = { session, bios }
    this.#tls = new TlsInput(session, this.#events, this.#output)
    this.#decrypt(this.#tls, at, length)
  }

  #decrypt(tls: TlsInput, at: number, length: number): void {
    const { bios, buffers } = this.#events
    if (!tls.feed(at, length)) this.destroy()
    if (this.#phase === 'handshake') this.#handshake(tls)
    if (!this.closed && this.#phase !== 'handshake' && !tls.read(this.#takePlain)) this.#endOfStream()
    // What was not taken is none of the next connection's.
    if (this.closed || this.#peerEnded) bios.drain(buffers.cipher, buffers.cipherBytes)
    else if (this.#output.waiting) this.#events.wantsFlush(this)
  }

  #handshake(tls: TlsInput): void {
    const state = tls.handshake()
    if (state === 'done') this.#phase = 'frames'
    if (state !== 'failed') return
    this.#events.handshakeFailed()
    this.destroy()
  }

  /** Bytes as the client meant them. */
  #receive(at: number, length: number): void {
    if (this.#ending) return
    const { bytes } = this.#events.buffers.memory
    if (this.#raw) {
      this.#raw.received(bytes.slice(at, at + length))
      this.#events.touchedNode()
      this.#watch()
    } else this.#cut(bytes, at, length)
  }

  #cut(bytes: Uint8Array, at: number, length: number): void {
    this.#framer.push(bytes, at, length)
    for (let frame = this.#framer.next(); frame; frame = this.#framer.next()) {
      if (!this.link) this.#open()
      this.#extend()
      const mayBind = isConnectionBind(frame.buffer, frame.offset)
      this.#events.received(this, frame.buffer, frame.offset, frame.length)
      if (mayBind) this.#events.decide()
      if (this.closed || this.#ending || this.#phase === 'raw') return
    }
    if (!this.#framer.failed) return
    this.#events.framingFailed()
    this.destroy()
  }

  #open(): void {
    const { passed } = this.#options
    this.link = {
      id: this.#events.nextLinkId(),
      transport: passed?.transport ?? (this.#tls ? 'tls' : 'tcp'),
      local: this.#options.local,
      remote: this.remote,
      serverName: passed?.serverName ?? this.#tls?.session.serverName,
      movable: true,
    }
    this.#events.opened(this)
  }

  #extend(): void {
    const idleMs = this.#inUse ? Number.POSITIVE_INFINITY : this.#options.limits.idleSeconds * 1000
    if (!this.#ending) this.deadline = this.#events.now() + idleMs
  }

  #endOfStream(): void {
    this.#peerEnded = true
    if (this.#raw) {
      this.#raw.push(null)
      this.#events.touchedNode()
    } else if (this.#ending) this.#events.wantsFlush(this)
    else this.end()
    this.#watch()
  }

  /** No more will be sent: says goodbye. */
  #shutdown(): void {
    if (this.#shut || this.closed) return
    this.#tls?.session.shutdown()
    this.#output.sendRecords()
    if (!this.#output.idle) return
    this.#shut = true
    this.socket.shutdown()
  }

  #watch(): void {
    if (this.closed) return
    const reading = this.#peerEnded || this.#raw?.stopped ? 0 : READING
    const events = reading | (this.#output.waiting ? EPOLLOUT : 0) | EPOLLET
    if (events === this.watched) return
    this.watched = events
    this.#events.watch(this, events)
  }
}
