import { TurnClient } from '../../../relay/client/turn-client.ts'
import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { writeChannelHeader } from '../../../relay/stun/channel-data.ts'
import { CLASS, METHOD, messageType } from '../../../relay/stun/methods.ts'
import { ATTRIBUTE_HEADER_BYTES, HEADER_BYTES, padded } from '../../../relay/stun/wire.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import type { LoadOptions } from './load-options.ts'
import type { ClientSide, DatagramHandler, SocketLoop } from './socket-loop.ts'
import type { Asking } from './some-at-a-time.ts'

const CHANNEL = 0x4000
const DATA_INDICATION = messageType(METHOD.Data, CLASS.Indication)
const CHANNEL_HEADER_BYTES = 4
const OPEN = Buffer.from('OPEN')

/** Counts what came through the server, and reads when it was sent. */
export interface Arrivals {
  arrived(bytes: Uint8Array, payloadOffset: number): void
}

/** One client, its allocation, and its peer. */
export class Flow implements DatagramHandler, Asking {
  settled = false
  readonly #options: LoadOptions
  readonly #loop: SocketLoop
  readonly #arrivals: Arrivals
  readonly #server: TransportAddress
  readonly #client: ClientSide
  readonly #peer: UdpSocket
  readonly #turn: TurnClient
  #relayed: TransportAddress | undefined
  /** What the client sends; its last `payloadBytes` are the payload. */
  #frame: Uint8Array = new Uint8Array(0)
  readonly #payload: Uint8Array
  #frameStamp: DataView = new DataView(new ArrayBuffer(8))
  readonly #payloadStamp: DataView

  constructor(loop: SocketLoop, options: LoadOptions, arrivals: Arrivals, peer: UdpSocket) {
    this.#options = options
    this.#loop = loop
    this.#arrivals = arrivals
    const { server, local, transport, username, password, payloadBytes } = options
    this.#server = parseAddress(server.address, server.port)!
    this.#client = loop.client(local, this.#server, transport, this)
    this.#peer = peer
    this.#turn = new TurnClient({ transport, username, password, crypto: nodeCrypto })
    this.#payload = new Uint8Array(payloadBytes).fill(7)
    this.#payloadStamp = new DataView(this.#payload.buffer)
  }

  open(): void {
    if (this.#options.framing === 'open') {
      const { w3, port } = this.#peer.local
      const request = Buffer.alloc(10)
      OPEN.copy(request)
      request.writeInt32BE(w3, 4)
      request.writeUInt16BE(port, 8)
      this.#client.send(request)
      return
    }
    this.#turn.allocate(performance.now())
    this.#pump()
  }

  /** From the client to the peer. */
  up(now: number): void {
    this.#frameStamp.setFloat64(0, now)
    this.#client.send(this.#frame)
  }

  /** From the peer to the client. */
  down(now: number): void {
    this.#payloadStamp.setFloat64(0, now)
    this.#loop.send(this.#peer, this.#relayed!, this.#payload)
  }

  retry(now: number): void {
    this.#turn.handleTimeout(now)
    this.#pump()
  }

  datagram(bytes: Uint8Array, offset: number, length: number): void {
    if (this.settled) {
      if (length >= this.#payload.length)
        this.#arrivals.arrived(bytes, this.#payloadAt(bytes, offset, length))
    } else if (this.#options.framing === 'open') {
      this.#begin(parseAddress(this.#options.server.address, bytes[offset]! * 256 + bytes[offset + 1]!)!)
    } else {
      this.#turn.handleData(bytes, offset, length, performance.now())
      this.#pump()
    }
  }

  /** Servers differ in what follows the payload in a Data indication. */
  #payloadAt(bytes: Uint8Array, offset: number, length: number): number {
    const end = offset + length
    if (bytes[offset] === 0 && bytes[offset + 1] === DATA_INDICATION) {
      for (let at = offset + HEADER_BYTES; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
        const size = bytes[at + 2]! * 256 + bytes[at + 3]!
        at += ATTRIBUTE_HEADER_BYTES
        if (bytes[at - 3] === ATTRIBUTE.Data && size === this.#payload.length) return at
        at += padded(size)
      }
    }
    return end - this.#payload.length
  }

  #pump(): void {
    for (let event = this.#turn.nextEvent(); event; event = this.#turn.nextEvent()) {
      if (event.kind === 'failed') throw new Error(`${event.step} failed: ${event.cause} ${event.code}`)
      if (event.kind === 'allocated') {
        this.#relayed = event.relayed[0]!.clone()
        if (this.#options.framing === 'channel')
          this.#turn.bindChannel(performance.now(), CHANNEL, this.#peer.local)
        else this.#turn.createPermission(performance.now(), [this.#peer.local])
      }
      if (event.kind === 'bound' || event.kind === 'permitted') this.#begin(this.#relayed!)
    }
    for (let bytes = this.#turn.nextTransmit(); bytes; bytes = this.#turn.nextTransmit())
      this.#client.send(bytes)
  }

  #begin(relayed: TransportAddress): void {
    this.#relayed = relayed
    this.#frame = this.#options.framing === 'indication' ? this.#indication() : this.#channelData()
    this.#frameStamp = new DataView(this.#frame.buffer, this.#frame.length - this.#payload.length)
    this.settled = true
  }

  #channelData(): Uint8Array {
    const frame = new Uint8Array(CHANNEL_HEADER_BYTES + this.#payload.length)
    writeChannelHeader(frame, 0, CHANNEL, this.#payload.length)
    frame.set(this.#payload, CHANNEL_HEADER_BYTES)
    return frame
  }

  /** The payload's length must be a multiple of four, so that it ends the message. */
  #indication(): Uint8Array {
    return new StunWriter(this.#payload.length + 128)
      .start(METHOD.Send, CLASS.Indication, nodeCrypto.randomBytes(12))
      .addXorAddress(ATTRIBUTE.XorPeerAddress, this.#peer.local)
      .addBytes(ATTRIBUTE.Data, this.#payload)
      .finish()
      .slice()
  }
}
