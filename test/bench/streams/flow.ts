import { TurnClient } from '../../../relay/client/turn-client.ts'
import type { StreamClient } from '../../../relay/io/linux/testing/stream-client.ts'
import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { writeChannelHeader } from '../../../relay/stun/channel-data.ts'
import type { StreamLoop } from './stream-loop.ts'

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
export class Flow {
  ready = false
  /** Packets that came out of the server: at the peer, and back at the client. */
  relayed = 0
  readonly #options: FlowOptions
  readonly #loop: StreamLoop
  readonly #client: StreamClient
  readonly #peer: UdpSocket
  readonly #turn: TurnClient
  readonly #payload: Uint8Array
  /** As many frames as are ever under way. */
  readonly #frames: Uint8Array
  readonly #frameBytes: number
  #relayed: TransportAddress | undefined
  #returned = 0
  #relayedBefore = 0

  constructor(loop: StreamLoop, options: FlowOptions) {
    const { server, local, transport, username, password, payloadBytes, window } = options
    this.#options = options
    this.#loop = loop
    this.#payload = new Uint8Array(payloadBytes).fill(7)
    this.#frameBytes = HEADER_BYTES + payloadBytes
    this.#frames = new Uint8Array(this.#frameBytes * window).fill(7)
    for (let i = 0; i < window; i++)
      writeChannelHeader(this.#frames, i * this.#frameBytes, CHANNEL, payloadBytes)
    this.#peer = loop.peer(local, { bytes: () => this.#echo() })
    this.#turn = new TurnClient({ transport, username, password, crypto: nodeCrypto })
    this.#client = loop.connect(parseAddress(server.address, server.port)!, transport, {
      bytes: (bytes, offset, length) => this.#hear(bytes, offset, length),
    })
    this.#turn.allocate(performance.now())
    this.#pump()
  }

  start(): void {
    this.#client.send(this.#frames)
  }

  /** To be called now and then: starts a flow again that has come to a halt, as the way to the peer may lose. */
  revive(): void {
    if (this.relayed === this.#relayedBefore) this.start()
    this.#relayedBefore = this.relayed
  }

  #echo(): void {
    this.relayed++
    this.#loop.sendTo(this.#peer, this.#relayed!, this.#payload)
  }

  #hear(bytes: Uint8Array, offset: number, length: number): void {
    if (this.ready) {
      this.#back(length)
      return
    }
    this.#turn.handleData(bytes, offset, length, performance.now())
    this.#pump()
  }

  /** Every frame is of one size, so that bytes are frames. */
  #back(length: number): void {
    this.#returned += length
    const frames = Math.floor(this.#returned / this.#frameBytes)
    if (frames === 0) return
    this.#returned -= frames * this.#frameBytes
    this.relayed += frames
    this.#client.send(this.#frames.subarray(0, Math.min(frames, this.#options.window) * this.#frameBytes))
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
