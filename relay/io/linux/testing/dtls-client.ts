import dgram from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import koffi from 'koffi'
import { Memory } from '../memory.ts'
import { BioPair } from '../openssl/bio-pair.ts'
import { SSL_OP_NO_QUERY_MTU } from '../openssl/constants.ts'
import { DtlsSession, TIMEVAL_BYTES } from '../openssl/dtls-session.ts'
import {
  contextControl,
  contextFree,
  contextNew,
  contextSetCiphers,
  contextSetOptions,
  sslNew,
} from '../openssl/ffi.ts'
import { classedSocket } from './classed-socket.ts'

const library = koffi.load(null)
const dtlsClientMethod: () => number = library.func('uintptr_t DTLS_client_method()')
const setConnectState: (ssl: number) => void = library.func('void SSL_set_connect_state(uintptr_t)')
const renegotiate: (ssl: number) => number = library.func('int SSL_renegotiate(uintptr_t)')
const setAlpn: (ssl: number, protocols: Uint8Array, length: number) => number = library.func(
  'int SSL_set_alpn_protos(uintptr_t, void*, uint32_t)',
)
const selectedAlpn: (ssl: number, out: number, length: number) => void = library.func(
  'void SSL_get0_alpn_selected(uintptr_t, uintptr_t, uintptr_t)',
)
const setServerName: (ssl: number, command: number, type: number, name: string) => number = library.func(
  'long SSL_ctrl(uintptr_t, int, long, str)',
)
const SET_SERVER_NAME = 55
const SET_MAX_PROTO_VERSION = 124
const SET_MIN_PROTO_VERSION = 123
const ROOM = 20_000

export interface DtlsClientOptions {
  /** Of the relay and of the client. */
  readonly host?: '127.0.0.1' | '::1'
  /** What a balancer puts in front of each datagram. */
  readonly preface?: Uint8Array
  /** The UDP port of the client; 0: any. */
  readonly from?: number
  /** DSCP and ECN of all that it sends. */
  readonly trafficClass?: number
  readonly alpn?: string
  readonly serverName?: string
  /** The newest version that is offered. */
  readonly maxVersion?: number
  /** It never sends anything again by itself. */
  readonly patient?: boolean
  /** Which datagrams never arrive, counted from 0, each way. */
  readonly loses?: (direction: 'sent' | 'received', number: number) => boolean
}

/** What closes the client when it is over. */
type Scope = Pick<TestContext, 'after'>

class ClientSession extends DtlsSession {
  constructor(context: number, bios: BioPair, memory: Memory) {
    super({ newSession: () => sslNew(context) }, bios, memory)
    setConnectState(this.ssl)
  }

  get pointer(): number {
    return this.ssl
  }
}

/** A DTLS client of the tests' own, on a UDP socket that it can lose datagrams of. */
export class DtlsClient {
  readonly socket: dgram.Socket
  readonly received: Buffer[] = []
  /** Every datagram that went out. */
  readonly sent: Buffer[] = []
  /** How many datagrams came in. */
  heard = 0
  secured = false
  ended = false
  readonly #options: DtlsClientOptions
  readonly #memory = new Memory(3 * ROOM)
  readonly #plain = this.#memory.take(ROOM)
  readonly #record = this.#memory.take(ROOM)
  readonly #timeval = this.#memory.take(TIMEVAL_BYTES)
  readonly #bios = new BioPair(this.#memory, 'datagrams')
  readonly #context: number
  readonly #session: ClientSession
  readonly #waiters = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined

  private constructor(options: DtlsClientOptions) {
    this.#options = options
    this.socket = dgram.createSocket(options.host === '::1' ? 'udp6' : 'udp4')
    this.#context = contextNew(dtlsClientMethod())
    contextSetOptions(this.#context, SSL_OP_NO_QUERY_MTU)
    contextSetCiphers(this.#context, 'DEFAULT@SECLEVEL=0')
    contextControl(this.#context, SET_MIN_PROTO_VERSION, 0, null)
    if (options.maxVersion) contextControl(this.#context, SET_MAX_PROTO_VERSION, options.maxVersion, null)
    this.#session = new ClientSession(this.#context, this.#bios, this.#memory)
    const alpn = Buffer.from(`\0${options.alpn ?? ''}`, 'latin1')
    alpn[0] = alpn.length - 1
    if (options.alpn) setAlpn(this.#session.pointer, alpn, alpn.length)
    if (options.serverName) setServerName(this.#session.pointer, SET_SERVER_NAME, 0, options.serverName)
    this.socket.on('message', (message) => {
      const number = this.heard++
      if (options.loses?.('received', number)) return
      this.#take(message)
    })
    this.socket.on('error', () => undefined)
  }

  /** Begins a handshake. */
  static async open(t: Scope, port: number, options: DtlsClientOptions = {}): Promise<DtlsClient> {
    const client = new DtlsClient(options)
    t.after(() => client.close())
    const { host = '127.0.0.1', from = 0, trafficClass } = options
    const listening = once(client.socket, 'listening')
    if (trafficClass === undefined) client.socket.bind(from, host)
    else client.socket.bind({ fd: classedSocket(host, from, trafficClass), exclusive: true })
    await listening
    client.socket.connect(port, host)
    await once(client.socket, 'connect')
    client.#go()
    return client
  }

  /** Comes back with the handshake done. */
  static async connect(t: Scope, port: number, options: DtlsClientOptions = {}): Promise<DtlsClient> {
    const client = await DtlsClient.open(t, port, options)
    await client.until(() => client.secured || client.ended)
    if (!client.secured) throw new Error('the handshake failed')
    return client
  }

  /** What ALPN chose. */
  get alpn(): string {
    const { u32 } = this.#memory
    selectedAlpn(
      this.#session.pointer,
      this.#memory.span(this.#timeval, 8),
      this.#memory.span(this.#timeval + 8, 4),
    )
    const [low, high, length] = [0, 1, 2].map((word) => u32[(this.#timeval >> 2) + word]!)
    if (length === 0) return ''
    return Buffer.from(koffi.view(BigInt(high! * 2 ** 32 + low!), length!)).toString('latin1')
  }

  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!condition()) return
        this.#waiters.delete(look)
        resolve()
      }
      this.#waiters.add(look)
      look()
    })
  }

  send(bytes: Uint8Array): void {
    this.#memory.bytes.set(bytes, this.#plain)
    this.#session.write(this.#plain, bytes.length)
    this.#flush()
  }

  /** Sends, and comes back with the next message. */
  async exchange(bytes: Uint8Array): Promise<Buffer> {
    const before = this.received.length
    this.send(bytes)
    await this.until(() => this.received.length > before || this.ended)
    return this.received[before] ?? Buffer.alloc(0)
  }

  /** Sends a datagram as it is. */
  raw(bytes: Uint8Array): void {
    this.socket.send(bytes)
  }

  renegotiate(): void {
    renegotiate(this.#session.pointer)
    this.#session.handshake()
    this.#flush()
  }

  shutdown(): void {
    this.#session.shutdown()
    this.#flush()
  }

  close(): void {
    if (this.#session.pointer === 0) return
    clearTimeout(this.#timer)
    this.#session.free()
    this.#bios.close()
    contextFree(this.#context)
    this.socket.close()
  }

  #take(message: Buffer): void {
    if (this.#session.pointer === 0) return
    this.#memory.bytes.set(message, this.#record)
    this.#bios.feed(this.#record, message.length)
    if (!this.secured) this.#go()
    while (this.secured && !this.ended) {
      const length = this.#session.read(this.#plain, ROOM)
      if (length < 0) this.ended = true
      if (length <= 0) break
      this.received.push(Buffer.from(this.#memory.bytes.slice(this.#plain, this.#plain + length)))
    }
    this.#flush()
    for (const look of [...this.#waiters]) look()
  }

  #go(): void {
    const state = this.#session.handshake()
    this.#flush()
    clearTimeout(this.#timer)
    if (state === 'done') this.secured = true
    else if (state === 'failed') this.ended = true
    else if (!this.#options.patient)
      this.#timer = setTimeout(() => this.#again(), this.#session.timeoutMs(this.#memory, this.#timeval))
  }

  #again(): void {
    if (this.#session.pointer === 0) return
    this.#session.handleTimeout()
    this.#go()
  }

  #flush(): void {
    for (;;) {
      const length = this.#bios.take(this.#record, ROOM)
      if (length === 0) return
      const datagram = Buffer.from(this.#memory.bytes.slice(this.#record, this.#record + length))
      const lost = this.#options.loses?.('sent', this.sent.length)
      this.sent.push(datagram)
      if (!lost) this.socket.send([this.#options.preface ?? '', datagram])
    }
  }
}
