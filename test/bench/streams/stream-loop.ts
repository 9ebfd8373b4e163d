import { Memory } from '../../../relay/io/linux/memory.ts'
import { Poller } from '../../../relay/io/linux/poller.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from '../../../relay/io/linux/receive-ring.ts'
import { SEND_MEMORY_BYTES, SendQueue } from '../../../relay/io/linux/send-queue.ts'
import { type StreamClient, StreamClients } from '../../../relay/io/linux/testing/stream-client.ts'
import { type UdpSocket, UdpSocketFactory } from '../../../relay/io/linux/udp-socket.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'

const STREAM_MEMORY_BYTES = 300_000
const SOCKET_BUFFER_BYTES = 4_194_304

/** What hears of one stream or socket. */
export interface Hears {
  bytes(bytes: Uint8Array, offset: number, length: number): void
}

/** Streams to the server and UDP sockets of peers, on the relay's own system calls, in a loop that never sleeps. */
export class StreamLoop {
  readonly #memory = new Memory(RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + STREAM_MEMORY_BYTES)
  readonly #ring = new ReceiveRing(this.#memory)
  readonly #queue = new SendQueue(this.#memory, { sendErrors: 0 })
  readonly #factory = new UdpSocketFactory(this.#memory)
  readonly #clients = new StreamClients(this.#memory)
  readonly #poller = new Poller(this.#memory)
  readonly #streams: ({ client: StreamClient; hears: Hears } | undefined)[] = []
  readonly #peers: (Hears | undefined)[] = []

  connect(to: TransportAddress, transport: 'tcp' | 'tls', hears: Hears): StreamClient {
    const client = this.#clients.connect(to, transport)
    this.#streams[client.fd] = { client, hears }
    this.#poller.add(client.fd)
    return client
  }

  peer(address: string, hears: Hears): UdpSocket {
    const socket = this.#factory.open({ bind: parseAddress(address, 0)!, bufferBytes: SOCKET_BUFFER_BYTES })
    this.#peers[socket.fd] = hears
    this.#poller.add(socket.fd)
    return socket
  }

  sendTo(socket: UdpSocket, to: TransportAddress, bytes: Uint8Array): void {
    this.#queue.push(socket, to, bytes, 0, bytes.length)
  }

  /** Hands over what has come, and sends what that gave rise to. */
  turn(timeoutMs: number): void {
    const events = this.#poller.wait(timeoutMs)
    for (let event = 0; event < events; event++) this.#take(this.#poller.ready(event))
    this.#queue.flush()
  }

  #take(fd: number): void {
    const stream = this.#streams[fd]
    if (stream) {
      stream.client.receive((bytes, offset, length) => stream.hears.bytes(bytes, offset, length))
      return
    }
    const peer = this.#peers[fd]
    if (!peer) return
    this.#ring.receive(fd)
    while (this.#ring.next()) peer.bytes(this.#memory.bytes, this.#ring.offset, this.#ring.length)
  }
}
