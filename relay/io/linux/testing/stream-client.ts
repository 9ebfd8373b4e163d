import koffi from 'koffi'
import type { TransportAddress } from '../../../stun/address.ts'
import { AF_INET, AF_INET6, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_STREAM, TCP_NODELAY } from '../constants.ts'
import { checked, setsockopt, socket } from '../ffi.ts'
import type { Memory } from '../memory.ts'
import { BioPair } from '../openssl/bio-pair.ts'
import { contextNew, sslNew } from '../openssl/ffi.ts'
import { TlsSession } from '../openssl/tls-session.ts'
import { SOCKADDR_BYTES, writeSockaddr } from '../sockaddr.ts'
import { TcpSocket } from '../streams/tcp-socket.ts'

const library = koffi.load(null)
const connectSocket: (fd: number, address: number, length: number) => number = library.func(
  'int connect(int, uintptr_t, uint32_t)',
)
const tlsClientMethod: () => number = library.func('uintptr_t TLS_client_method()')
const setConnectState: (ssl: number) => void = library.func('void SSL_set_connect_state(uintptr_t)')
const ROOM = 65_536
const RECORD_ROOM = 70_000
const WAIT_MAX = 1_000_000

/** What stream clients of one loop share. */
export class StreamClients {
  readonly memory: Memory
  readonly plain: number
  readonly wire: number
  readonly #name: number
  readonly #bios: BioPair
  #context = 0

  /** Takes some 200 kB of the memory. */
  constructor(memory: Memory) {
    this.memory = memory
    this.plain = memory.take(ROOM)
    this.wire = memory.take(RECORD_ROOM)
    this.#name = memory.take(SOCKADDR_BYTES)
    this.#bios = new BioPair(memory, 'stream')
  }

  /** Connects and, for TLS, shakes hands, holding up the thread. */
  connect(to: TransportAddress, transport: 'tcp' | 'tls'): StreamClient {
    const { memory } = this
    const fd = checked('socket', socket(to.family === 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    const length = writeSockaddr(memory, this.#name, to)
    checked('connect', connectSocket(fd, memory.span(this.#name, length), length))
    memory.i32[this.#name >> 2] = 1
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, memory.span(this.#name, 4), 4)
    const tcp = new TcpSocket(fd, memory)
    if (transport === 'tcp') return new StreamClient(this, tcp, undefined, this.#bios)
    this.#context ||= contextNew(tlsClientMethod())
    const session = new ClientSession(this.#context, this.#bios, memory)
    const client = new StreamClient(this, tcp, session, this.#bios)
    client.shakeHands()
    return client
  }
}

class ClientSession extends TlsSession {
  constructor(context: number, bios: BioPair, memory: Memory) {
    super({ newSession: () => sslNew(context) }, bios, memory)
    setConnectState(this.ssl)
  }
}

/** A TCP or TLS client on system calls, for load that node:net cannot make. */
export class StreamClient {
  readonly #clients: StreamClients
  readonly #tcp: TcpSocket
  readonly #session: ClientSession | undefined
  readonly #bios: BioPair
  /** What the system did not take. */
  #rest: Uint8Array | undefined

  constructor(clients: StreamClients, tcp: TcpSocket, session: ClientSession | undefined, bios: BioPair) {
    this.#clients = clients
    this.#tcp = tcp
    this.#session = session
    this.#bios = bios
  }

  get fd(): number {
    return this.#tcp.fd
  }

  shakeHands(): void {
    const session = this.#session!
    for (let waits = 0; waits < WAIT_MAX; waits++) {
      const state = session.handshake()
      this.#flush()
      if (state === 'done') return
      if (state === 'failed') break
      const length = this.#tcp.receive(this.#clients.wire, RECORD_ROOM)
      if (length > 0) this.#bios.feed(this.#clients.wire, length)
      else if (length !== -1) break
    }
    throw new Error('the TLS handshake failed')
  }

  /** False where the system has not yet taken what was sent before: nothing is sent then. */
  send(bytes: Uint8Array): boolean {
    const { memory, plain } = this.#clients
    if (!this.#sendRest()) return false
    memory.bytes.set(bytes, plain)
    if (this.#session) {
      this.#session.write(plain, bytes.length)
      this.#flush()
    } else this.#write(plain, bytes.length)
    return true
  }

  /** Hands over what one read brings: bytes of `memory`, valid until it returns. */
  receive(take: (bytes: Uint8Array, offset: number, length: number) => void): void {
    const { memory, plain, wire } = this.#clients
    const length = this.#tcp.receive(wire, ROOM)
    if (length === 0 || length < -1) throw new Error('the server has closed a stream')
    if (length < 0) return
    if (!this.#session) {
      take(memory.bytes, wire, length)
      return
    }
    this.#bios.feed(wire, length)
    for (;;) {
      const read = this.#session.read(plain, ROOM)
      if (read <= 0) return
      take(memory.bytes, plain, read)
    }
  }

  close(): void {
    this.#session?.free()
    this.#tcp.close()
  }

  #flush(): void {
    const { wire } = this.#clients
    for (;;) {
      const length = this.#bios.take(wire, RECORD_ROOM)
      if (length === 0) return
      this.#write(wire, length)
    }
  }

  #sendRest(): boolean {
    const { memory, wire } = this.#clients
    const rest = this.#rest
    if (!rest) return true
    this.#rest = undefined
    memory.bytes.set(rest, wire)
    this.#write(wire, rest.length)
    return this.#rest === undefined
  }

  #write(at: number, length: number): void {
    const sent = this.#tcp.send(at, length)
    if (sent < 0) throw new Error('the server has closed a stream')
    if (sent < length) this.#rest = this.#clients.memory.bytes.slice(at + sent, at + length)
  }
}
