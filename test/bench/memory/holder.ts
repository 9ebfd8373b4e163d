import { once } from 'node:events'
import { TurnClient } from '../../../relay/client/turn-client.ts'
import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { type DatagramHandler, SocketLoop } from '../packets/socket-loop.ts'
import { type Asking, someAtATime } from '../packets/some-at-a-time.ts'

/** What the holder is to do; JSON in its first argument. */
export interface HolderOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly username: string
  readonly password: string
  readonly allocations: number
}

/** What it says, a JSON line each; after `held` it waits for a line before it gives all back. */
export type HolderLine = { readonly kind: 'held' } | { readonly kind: 'given-back' }

const CHANNEL = 0x4000
/** A peer that nothing is sent to. */
const PEER_PORT = 9999
const SOCKET_BUFFER_BYTES = 8_192

/** A client that holds an allocation with one permission and one channel. */
class Holder implements DatagramHandler, Asking {
  settled = false
  readonly #turn: TurnClient
  readonly #loop: SocketLoop
  readonly #server: TransportAddress
  readonly #peer: TransportAddress
  readonly #socket: UdpSocket

  constructor(loop: SocketLoop, { server, local, username, password }: HolderOptions) {
    this.#loop = loop
    this.#server = parseAddress(server.address, server.port)!
    this.#peer = parseAddress(local, PEER_PORT)!
    this.#socket = loop.open(local, this, SOCKET_BUFFER_BYTES)
    this.#turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
  }

  allocate(): this {
    this.#turn.allocate(performance.now())
    this.#pump()
    return this
  }

  giveBack(): this {
    this.settled = false
    this.#turn.refresh(performance.now(), 0)
    this.#pump()
    return this
  }

  retry(now: number): void {
    this.#turn.handleTimeout(now)
    this.#pump()
  }

  datagram(bytes: Uint8Array, offset: number, length: number): void {
    this.#turn.handleData(bytes, offset, length, performance.now())
    this.#pump()
  }

  #pump(): void {
    for (let event = this.#turn.nextEvent(); event; event = this.#turn.nextEvent()) {
      if (event.kind === 'failed') throw new Error(`${event.step} failed: ${event.cause} ${event.code}`)
      if (event.kind === 'allocated') this.#turn.bindChannel(performance.now(), CHANNEL, this.#peer)
      if (event.kind === 'bound' || event.kind === 'closed') this.settled = true
    }
    for (let bytes = this.#turn.nextTransmit(); bytes; bytes = this.#turn.nextTransmit())
      this.#loop.send(this.#socket, this.#server, bytes)
  }
}

function say(line: HolderLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const options = JSON.parse(process.argv[2] ?? '{}') as HolderOptions
const loop = new SocketLoop()
const holders = Array.from({ length: options.allocations }, () => new Holder(loop, options))
const [allocating, givingBack] = [holders.values(), holders.values()]
someAtATime(loop, () => allocating.next().value?.allocate())
say({ kind: 'held' })
await once(process.stdin, 'data')
someAtATime(loop, () => givingBack.next().value?.giveBack())
say({ kind: 'given-back' })
loop.close()
process.stdin.destroy()
