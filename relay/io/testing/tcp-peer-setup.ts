import { once } from 'node:events'
import net from 'node:net'
import type { TestContext } from 'node:test'
import tls from 'node:tls'
import type { RelayIo } from '../io.ts'
import type { TcpPeers } from '../tcp-peers.ts'
import { selfSigned } from './certificate.ts'
import { bindingRequest } from './frames.ts'
import type { Recorder } from './recorder.ts'
import { type CreateIo, literal, started, tcpClient } from './setup.ts'

/** A ConnectionBind request without attributes: what the I/O layer looks at is its type. */
function connectionBind(): Buffer {
  const message = bindingRequest()
  message.writeUInt16BE(0x000b, 0)
  return message
}

/** Whether an I/O layer has TCP peers; where it has none, the test is skipped. */
export function hasTcpPeers(t: TestContext, create: CreateIo): boolean {
  const { io } = started(t, create)
  if (!io.tcpPeers) t.skip('this I/O layer has none')
  return io.tcpPeers !== undefined
}

/** A started io with a TCP relay socket, number 1, and what a test does with it. */
export class TcpRelay {
  readonly io: RelayIo
  readonly peers: TcpPeers
  readonly seen: Recorder
  readonly host: string
  readonly protocol: 'tcp' | 'tls'
  readonly port: number
  readonly #context: TestContext
  #lastConnection = 0

  private constructor(
    t: TestContext,
    io: RelayIo,
    seen: Recorder,
    { host, port, protocol }: Pick<TcpRelay, 'host' | 'port' | 'protocol'>,
  ) {
    this.#context = t
    this.io = io
    this.peers = io.tcpPeers!
    this.seen = seen
    this.host = host
    this.protocol = protocol
    this.port = port
  }

  /** `protocol` is what its clients speak. */
  static async open(
    t: TestContext,
    create: CreateIo,
    { host = '127.0.0.1', protocol = 'tcp' }: { host?: string; protocol?: 'tcp' | 'tls' } = {},
  ): Promise<TcpRelay> {
    const { io, seen } = started(t, create)
    if (protocol === 'tls') io.setTls(await selfSigned('localhost'))
    for (;;) {
      const port = await freePort(host)
      io.tcpPeers!.listen(1, literal(host, port))
      await seen.until(() => seen.bound.length + seen.failed.length > 0)
      if (seen.bound.length > 0) return new TcpRelay(t, io, seen, { host, port, protocol })
      seen.failed.length = 0
    }
  }

  /** A server of the test itself that relays connect to, with the connections it got. */
  async server(host = this.host): Promise<{ port: number; next: () => Promise<net.Socket> }> {
    const server = net.createServer({ allowHalfOpen: true })
    const sockets: net.Socket[] = []
    server.on('connection', (socket) => {
      socket.on('error', () => undefined)
      sockets.push(socket)
    })
    server.listen(0, host)
    await once(server, 'listening')
    this.#context.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const next = async () => {
      if (sockets.length === 0) await once(server, 'connection')
      return sockets.at(-1)!
    }
    return { port: (server.address() as net.AddressInfo).port, next }
  }

  /** Connects to a server; resolves with its number once that is told. */
  async connect(port: number): Promise<number> {
    const connection = ++this.#lastConnection
    this.peers.connect(connection, 1, literal(this.host, port))
    await this.seen.until(() => this.seen.connected.includes(connection))
    return connection
  }

  /**
   * A client on a new stream whose ConnectionBind splices it to a connection, after `before`; `early` comes in the
   * same write.
   */
  async spliced(
    connection: number,
    early: Uint8Array = new Uint8Array(),
    before: (link: number) => void = () => undefined,
  ): Promise<net.Socket> {
    const { protocol } = this
    const { port } = await this.io.listen({ protocol, address: '127.0.0.1', port: 0 })
    const client = await (protocol === 'tls' ? tlsClient : tcpClient)(this.#context, port)
    const links = this.seen.links.size
    this.seen.afterClientData = (link) => {
      before(link)
      this.peers.splice(connection, link)
    }
    client.write(Buffer.concat([connectionBind(), early]))
    await this.seen.until(() => this.seen.links.size > links)
    this.seen.afterClientData = () => undefined
    return client
  }

  /** A peer's connection to the relay socket. */
  peer(): Promise<net.Socket> {
    return tcpClient(this.#context, this.port, this.host)
  }
}

async function tlsClient(t: TestContext, port: number): Promise<net.Socket> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

async function freePort(host: string): Promise<number> {
  const server = net.createServer().listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
