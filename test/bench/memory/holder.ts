import { once } from 'node:events'
import { TurnClient } from '../../../relay/client/turn-client.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { type ClientSide, type DatagramHandler, SocketLoop } from '../packets/socket-loop.ts'
import { type Asking, someAtATime } from '../packets/some-at-a-time.ts'

/** What the holder is to do; JSON in its first argument. */
export interface HolderOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly transport: 'udp' | 'tcp' | 'tls'
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
  readonly #options: HolderOptions
  #way: ClientSide | undefined

  constructor(loop: SocketLoop, options: HolderOptions) {
    const { server, local, transport, username, password } = options
    this.#loop = loop
    this.#options = options
    this.#server = parseAddress(server.address, server.port)!
    this.#peer = parseAddress(local, PEER_PORT)!
    this.#turn = new TurnClient({ transport, username, password, crypto: nodeCrypto })
  }

  allocate(): this {
    const { local, transport } = this.#options
    this.#way = this.#loop.client(local, this.#server, transport, this, SOCKET_BUFFER_BYTES)
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
      this.#way?.send(bytes)
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
