import { Memory } from '../../../relay/io/linux/memory.ts'
import { Poller } from '../../../relay/io/linux/poller.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from '../../../relay/io/linux/receive-ring.ts'
import { SEND_MEMORY_BYTES, SendQueue } from '../../../relay/io/linux/send-queue.ts'
import { StreamClients } from '../../../relay/io/linux/testing/stream-client.ts'
import { type UdpSocket, UdpSocketFactory } from '../../../relay/io/linux/udp-socket.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { StreamSide } from './stream-side.ts'

const STREAM_MEMORY_BYTES = 300_000
const SMALL_MEMORY_BYTES = 65_536
const SOCKET_BUFFER_BYTES = 4_194_304
/** Batches that one turn takes from one socket. */
const BATCHES_PER_TURN = 4

/** What hears of the datagrams of one socket, or of the frames of one stream. */
export interface DatagramHandler {
  datagram(bytes: Uint8Array, offset: number, length: number): void
}

/** The way of one client to its server. */
export interface ClientSide {
  send(bytes: Uint8Array): void
}

/** The relay's batched sockets in a loop that never sleeps: what sends the load and what it comes back to. */
export class SocketLoop {
  readonly #memory = new Memory(
    RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + STREAM_MEMORY_BYTES + SMALL_MEMORY_BYTES,
  )
  readonly #ring = new ReceiveRing(this.#memory)
  readonly #queue = new SendQueue(this.#memory, { sendErrors: 0 })
  readonly #factory = new UdpSocketFactory(this.#memory)
  readonly #clients = new StreamClients(this.#memory)
  readonly #poller = new Poller(this.#memory)
  readonly #streams: (StreamSide | undefined)[] = []
  /** Those that have something to send. */
  readonly #unsent: StreamSide[] = []
  readonly #handlers: (DatagramHandler | undefined)[] = []
  readonly #sockets: UdpSocket[] = []

  open(address: string, handler: DatagramHandler, bufferBytes = SOCKET_BUFFER_BYTES): UdpSocket {
    const socket = this.#factory.open({ bind: parseAddress(address, 0)!, bufferBytes })
    this.#handlers[socket.fd] = handler
    this.#sockets.push(socket)
    this.#poller.add(socket.fd)
    return socket
  }

  /** A client of a server, from a socket of its own at `address`, over UDP or a stream. */
  client(
    address: string,
    server: TransportAddress,
    transport: 'udp' | 'tcp' | 'tls',
    handler: DatagramHandler,
    bufferBytes = SOCKET_BUFFER_BYTES,
  ): ClientSide {
    if (transport === 'udp') {
      const socket = this.open(address, handler, bufferBytes)
      return { send: (bytes) => this.send(socket, server, bytes) }
    }
    const client = this.#clients.connect(server, transport)
    const side = new StreamSide(client, handler, this.#unsent)
    this.#streams[client.fd] = side
    this.#poller.add(client.fd)
    return side
  }

  send(socket: UdpSocket, to: TransportAddress, bytes: Uint8Array): void {
    this.#queue.push(socket, to, bytes, 0, bytes.length)
  }

  /** Sends what waits, and hands over what has come. */
  turn(timeoutMs = 0): void {
    for (const side of this.#unsent) side.flush()
    this.#unsent.length = 0
    this.#queue.flush()
    const events = this.#poller.wait(timeoutMs)
    for (let event = 0; event < events; event++) this.#take(this.#poller.ready(event))
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
    for (const side of this.#streams) side?.close()
    this.#poller.close()
  }

  #take(fd: number): void {
    const handler = this.#handlers[fd]
    if (!handler) {
      this.#streams[fd]?.receive()
      return
    }
    const { bytes } = this.#memory
    for (let batch = 0; batch < BATCHES_PER_TURN; batch++) {
      const more = this.#ring.receive(fd)
      while (this.#ring.next()) handler.datagram(bytes, this.#ring.offset, this.#ring.length)
      if (!more) return
    }
  }
}
