import net from 'node:net'
import tls from 'node:tls'
import { TurnClient } from '../../relay/client/turn-client.ts'
import { DtlsClient } from '../../relay/io/linux/testing/dtls-client.ts'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { parseAddress } from '../../relay/stun/address-text.ts'
import { StreamFramer } from '../../relay/stun/framing.ts'
import type { SocketLoop } from '../bench/packets/socket-loop.ts'

export const USER = { username: 'user', password: 'password' }
export const TRANSPORTS = ['udp', 'tcp', 'tls', 'dtls'] as const

export type Transport = (typeof TRANSPORTS)[number]

/** Where a relay listens. */
export interface Way {
  readonly transport: Transport
  readonly address: '127.0.0.1' | '::1'
  readonly port: number
}

/** The way of one client's bytes to the relay and back. */
interface Wire {
  send(bytes: Uint8Array): void
  close(): void
}

/** What ends a connection that is being made. */
type Scope = Parameters<typeof DtlsClient.connect>[0]

/** What a client does with what the relay sends it. */
export type Received = (bytes: Uint8Array, offset: number, length: number) => void

/** A client of the relay on any transport: whole STUN messages and ChannelData frames go in and come out. */
export class Caller {
  readonly way: Way
  readonly turn: TurnClient
  /** Where a refused or broken connection is noted. */
  failure: string | undefined
  readonly #wire: Promise<Wire>
  #open: Wire | undefined
  #close: () => void = () => undefined

  /** Frames that no request is waiting for go to `received`. */
  constructor(loop: SocketLoop, way: Way, received: Received) {
    this.way = way
    this.turn = new TurnClient({ transport: way.transport, ...USER, crypto: nodeCrypto })
    const take: Received = (bytes, offset, length) => {
      if ((bytes[offset]! & 0xc0) === 0x40) return received(bytes, offset, length)
      this.turn.handleData(bytes, offset, length, performance.now())
      this.pump()
    }
    const failed = (error: Error) => {
      this.failure ??= error.message
    }
    this.#wire = opened(loop, way, take, failed, {
      after: (close) => {
        this.#close = close as () => void
      },
    })
    this.#wire.then((wire) => {
      this.#open = wire
      this.pump()
    }, failed)
  }

  send(bytes: Uint8Array): void {
    this.#open?.send(bytes)
  }

  /** Sends what the state machine has to say. */
  pump(): void {
    if (!this.#open) return
    for (let bytes = this.turn.nextTransmit(); bytes; bytes = this.turn.nextTransmit()) this.#open.send(bytes)
  }

  close(): void {
    this.#close()
    void this.#wire.then((wire) => wire.close()).catch(() => undefined)
  }
}

function opened(
  loop: SocketLoop,
  way: Way,
  take: Received,
  failed: (error: Error) => void,
  scope: Scope,
): Promise<Wire> {
  switch (way.transport) {
    case 'udp':
      return Promise.resolve(udp(loop, way, take))
    case 'dtls':
      return dtls(way, take, scope)
    default:
      return stream(way, take, failed)
  }
}

function udp(loop: SocketLoop, { address, port }: Way, take: Received): Wire {
  const server: TransportAddress = parseAddress(address, port)!
  const socket = loop.open(address, { datagram: take })
  return { send: (bytes) => loop.send(socket, server, bytes), close: () => socket.close() }
}

async function dtls({ address, port }: Way, take: Received, scope: Scope): Promise<Wire> {
  const client = await DtlsClient.connect(scope, port, { host: address })
  void client.until(() => {
    for (const message of client.received.splice(0)) take(message, 0, message.length)
    client.sent.length = 0
    return false
  })
  return { send: (bytes) => client.send(bytes), close: () => client.close() }
}

function stream(
  { transport, address, port }: Way,
  take: Received,
  failed: (error: Error) => void,
): Promise<Wire> {
  const framer = new StreamFramer()
  const options = { host: address, port, noDelay: true }
  const socket =
    transport === 'tls' ? tls.connect({ ...options, rejectUnauthorized: false }) : net.connect(options)
  socket.on('data', (chunk: Buffer) => {
    framer.push(chunk, 0, chunk.length)
    for (let frame = framer.next(); frame; frame = framer.next())
      take(frame.buffer, frame.offset, frame.length)
  })
  let closing = false
  socket.on('error', failed)
  socket.on('close', () => {
    if (!closing) failed(new Error('the relay has closed the connection'))
  })
  const wire: Wire = {
    send: (bytes) => void socket.write(bytes),
    close: () => {
      closing = true
      socket.destroy()
    },
  }
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once(transport === 'tls' ? 'secureConnect' : 'connect', () => resolve(wire))
  })
}
