import type { UdpSocket } from '../../relay/io/linux/udp-socket.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { CHANNEL_HEADER_BYTES, writeChannelHeader } from '../../relay/stun/channel-data.ts'
import type { SocketLoop } from '../bench/packets/socket-loop.ts'
import { Caller, type Way } from './callers.ts'

const CHANNEL = 0x4000
/** The number of the flow stands at the beginning. */
export const PAYLOAD_BYTES = 160

/** The peer that all clients of a family talk to. */
export interface Peer {
  readonly socket: UdpSocket
}

/** One allocation in traffic, both ways. */
export class Flow {
  readonly way: Way
  up = 0
  down = 0
  upReceived = 0
  downReceived = 0
  ready = false
  readonly caller: Caller
  readonly #loop: SocketLoop
  readonly #peer: Peer
  readonly #frame = new Uint8Array(CHANNEL_HEADER_BYTES + PAYLOAD_BYTES)
  readonly #payload = this.#frame.subarray(CHANNEL_HEADER_BYTES)
  #relayed: TransportAddress | undefined

  constructor(loop: SocketLoop, way: Way, peer: Peer, number: number) {
    this.way = way
    this.#loop = loop
    this.#peer = peer
    writeChannelHeader(this.#frame, 0, CHANNEL, PAYLOAD_BYTES)
    new DataView(this.#payload.buffer, this.#payload.byteOffset).setUint32(0, number)
    this.caller = new Caller(loop, way, () => {
      this.downReceived++
    })
    this.caller.turn.allocate(performance.now())
    this.caller.pump()
  }

  /** Goes on with being set up; to be called now and then until it is `ready` or has a `failure`. */
  tend(now: number): void {
    const { caller } = this
    const { turn } = caller
    turn.handleTimeout(now)
    for (let event = turn.nextEvent(); event; event = turn.nextEvent()) {
      if (event.kind === 'failed') caller.failure ??= `${event.step}: ${event.cause} ${event.code}`
      if (event.kind === 'allocated') {
        this.#relayed = event.relayed[0]!.clone()
        turn.bindChannel(now, CHANNEL, this.#peer.socket.local)
      }
      if (event.kind === 'bound') this.ready = true
    }
    caller.pump()
  }

  /** One packet each way. */
  exchange(): void {
    this.up++
    this.caller.send(this.#frame)
    this.down++
    this.#loop.send(this.#peer.socket, this.#relayed!, this.#payload)
  }

  /** Packets that never came, both ways. */
  get lost(): number {
    return this.up - this.upReceived + this.down - this.downReceived
  }

  get sent(): number {
    return this.up + this.down
  }
}
