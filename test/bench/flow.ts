import dgram from 'node:dgram'
import { once } from 'node:events'
import type { ClientEvent } from '../../relay/client/contract.ts'
import { TurnClient } from '../../relay/client/turn-client.ts'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import { parseAddress } from '../../relay/stun/address-text.ts'

const CHANNEL = 0x4000
const HEADER_BYTES = 4
const SOCKET_BUFFER_BYTES = 4_194_304

export interface FlowOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly username: string
  readonly password: string
  readonly payloadBytes: number
  /** Packets under way at any time. */
  readonly window: number
}

/** One client with an allocation and a channel to a peer that sends everything back. */
export class Flow {
  /** Packets that came out of the server: at the peer, and back at the client. */
  relayed = 0
  /** Packets that were sent anew because nothing came back. */
  lost = 0
  readonly #options: FlowOptions
  readonly #client = dgram.createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER_BYTES })
  readonly #peer = dgram.createSocket({ type: 'udp4', recvBufferSize: SOCKET_BUFFER_BYTES })
  readonly #frame: Buffer
  #relayedBefore = 0

  constructor(options: FlowOptions) {
    this.#options = options
    this.#frame = Buffer.alloc(HEADER_BYTES + options.payloadBytes, 7)
    this.#frame.writeUInt16BE(CHANNEL, 0)
    this.#frame.writeUInt16BE(options.payloadBytes, 2)
  }

  /** Allocates and binds the channel; rejects with what the server refused. */
  async open(): Promise<void> {
    const { server, local, username, password } = this.#options
    for (const socket of [this.#client, this.#peer]) {
      socket.bind(0, local)
      await once(socket, 'listening')
    }
    this.#client.connect(server.port, server.address)
    await once(this.#client, 'connect')
    const turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
    const peer = parseAddress(local, this.#peer.address().port)!
    turn.allocate(performance.now())
    const { relayed } = await this.#until(turn, 'allocated')
    turn.bindChannel(performance.now(), CHANNEL, peer)
    await this.#until(turn, 'bound')
    this.#peer.connect(relayed[0]!.port, server.address)
    await once(this.#peer, 'connect')
    this.#peer.on('message', (message) => {
      this.relayed++
      this.#peer.send(message)
    })
    this.#client.on('message', () => {
      this.relayed++
      this.#client.send(this.#frame)
    })
  }

  start(): void {
    for (let i = 0; i < this.#options.window; i++) this.#client.send(this.#frame)
  }

  /** To be called now and then: starts a flow again that has come to a halt. */
  revive(): void {
    if (this.relayed === this.#relayedBefore) {
      this.lost += this.#options.window
      this.start()
    }
    this.#relayedBefore = this.relayed
  }

  close(): void {
    this.#client.close()
    this.#peer.close()
  }

  async #until<K extends ClientEvent['kind']>(
    turn: TurnClient,
    kind: K,
  ): Promise<Extract<ClientEvent, { kind: K }>> {
    for (;;) {
      for (let bytes = turn.nextTransmit(); bytes; bytes = turn.nextTransmit()) this.#client.send(bytes)
      const [message] = (await once(this.#client, 'message')) as [Buffer]
      turn.handleData(message, 0, message.length, performance.now())
      for (let event = turn.nextEvent(); event; event = turn.nextEvent()) {
        if (event.kind === kind) return event as Extract<ClientEvent, { kind: K }>
        if (event.kind === 'failed') throw new Error(`${event.step} failed: ${event.cause} ${event.code}`)
      }
    }
  }
}
