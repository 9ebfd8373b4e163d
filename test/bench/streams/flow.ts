import { TurnClient } from '../../../relay/client/turn-client.ts'
import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { writeChannelHeader } from '../../../relay/stun/channel-data.ts'
import type { ClientSide, DatagramHandler, SocketLoop } from '../packets/socket-loop.ts'

const CHANNEL = 0x4000
const HEADER_BYTES = 4

export interface FlowOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly transport: 'tcp' | 'tls'
  readonly username: string
  readonly password: string
  /** A multiple of four. */
  readonly payloadBytes: number
  /** Packets under way at any time. */
  readonly window: number
}

/** One client with a stream, an allocation and a channel, and a peer that sends everything back. */
export class Flow implements DatagramHandler {
  ready = false
  /** Packets that came out of the server: at the peer, and back at the client. */
  relayed = 0
  readonly #options: FlowOptions
  readonly #loop: SocketLoop
  readonly #client: ClientSide
  readonly #peer: UdpSocket
  readonly #turn: TurnClient
  readonly #payload: Uint8Array
  readonly #frame: Uint8Array
  #relayed: TransportAddress | undefined
  #relayedBefore = 0

  constructor(loop: SocketLoop, options: FlowOptions) {
    const { server, local, transport, username, password, payloadBytes } = options
    this.#options = options
    this.#loop = loop
    this.#payload = new Uint8Array(payloadBytes).fill(7)
    this.#frame = new Uint8Array(HEADER_BYTES + payloadBytes).fill(7)
    writeChannelHeader(this.#frame, 0, CHANNEL, payloadBytes)
    this.#peer = loop.open(local, { datagram: () => this.#echo() })
    this.#turn = new TurnClient({ transport, username, password, crypto: nodeCrypto })
    this.#client = loop.client(local, parseAddress(server.address, server.port)!, transport, this)
    this.#turn.allocate(performance.now())
    this.#pump()
  }

  start(): void {
    for (let i = 0; i < this.#options.window; i++) this.#client.send(this.#frame)
  }

  /** To be called now and then: starts a flow again that has come to a halt, as the way to the peer may lose. */
  revive(): void {
    if (this.relayed === this.#relayedBefore) this.start()
    this.#relayedBefore = this.relayed
  }

  datagram(bytes: Uint8Array, offset: number, length: number): void {
    if (this.ready) {
      this.relayed++
      this.#client.send(this.#frame)
      return
    }
    this.#turn.handleData(bytes, offset, length, performance.now())
    this.#pump()
  }

  #echo(): void {
    this.relayed++
    this.#loop.send(this.#peer, this.#relayed!, this.#payload)
  }

  #pump(): void {
    for (let event = this.#turn.nextEvent(); event; event = this.#turn.nextEvent()) {
      if (event.kind === 'failed') throw new Error(`${event.step} failed: ${event.cause} ${event.code}`)
      if (event.kind === 'allocated') {
        this.#relayed = event.relayed[0]!.clone()
        this.#turn.bindChannel(performance.now(), CHANNEL, this.#peer.local)
      }
      if (event.kind === 'bound') this.ready = true
    }
    for (let bytes = this.#turn.nextTransmit(); bytes; bytes = this.#turn.nextTransmit())
      this.#client.send(bytes)
  }
}
