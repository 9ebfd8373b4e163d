import dgram from 'node:dgram'
import { createInterface } from 'node:readline'
import { TurnClient } from '../../../relay/client/turn-client.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'

/** What the benchmark tells this process, as JSON in the first argument. */
export interface HoldOptions {
  readonly server: { readonly address: string; readonly port: number }
  readonly local: string
  readonly username: string
  readonly password: string
  readonly allocations: number
  /** Begun in a second. */
  readonly perSecond: number
}

/** What it says when all that it was told to do is done: `open`, or `refresh` for each line that it reads. */
export interface HoldLine {
  readonly done: 'open' | 'refresh'
  readonly failed: number
}

const CHANNEL = 0x4000
const PEER_PORT = 9999
const TICK_MS = 10
const GIVE_UP_MS = 10_000

/** A client that opens an allocation with a permission and a channel, and refreshes it when it is told. */
class Holder {
  readonly #options: HoldOptions
  readonly #socket = dgram.createSocket('udp4')
  readonly #turn: TurnClient
  readonly #peer: TransportAddress
  #done: (whole: boolean) => void = () => undefined

  constructor(options: HoldOptions) {
    const { username, password, local } = options
    this.#options = options
    this.#peer = parseAddress(local, PEER_PORT)!
    this.#turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
    this.#socket.on('message', (message) => {
      this.#turn.handleData(message, 0, message.length, performance.now())
      this.#pump()
    })
  }

  open(): Promise<boolean> {
    const { server, local } = this.#options
    return this.#answered(() => {
      this.#socket.bind(0, local, () => {
        this.#socket.connect(server.port, server.address, () => {
          this.#turn.allocate(performance.now())
          this.#pump()
        })
      })
    })
  }

  refresh(): Promise<boolean> {
    return this.#answered(() => {
      this.#turn.refresh(performance.now())
      this.#pump()
    })
  }

  close(): void {
    this.#socket.close()
  }

  #answered(act: () => void): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), GIVE_UP_MS)
      this.#done = (whole) => {
        clearTimeout(timer)
        resolve(whole)
      }
      act()
    })
  }

  #pump(): void {
    const now = performance.now()
    const event = this.#turn.nextEvent()
    if (event?.kind === 'allocated') this.#turn.bindChannel(now, CHANNEL, this.#peer)
    else if (event) this.#done(event.kind === 'bound' || event.kind === 'refreshed')
    for (let bytes = this.#turn.nextTransmit(); bytes; bytes = this.#turn.nextTransmit())
      this.#socket.send(bytes)
  }
}

/** Does something with every holder, so many in a second; counts those that were not answered. */
function spreadOver(
  holders: readonly Holder[],
  perSecond: number,
  act: (holder: Holder) => Promise<boolean>,
): Promise<number> {
  return new Promise((resolve) => {
    const results: Promise<boolean>[] = []
    const began = performance.now()
    const timer = setInterval(() => {
      const due = Math.min(holders.length, Math.ceil(((performance.now() - began) / 1000) * perSecond))
      while (results.length < due) results.push(act(holders[results.length]!))
      if (due < holders.length) return
      clearInterval(timer)
      void Promise.all(results).then((whole) => resolve(whole.filter((one) => !one).length))
    }, TICK_MS)
  })
}

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as HoldOptions
  const holders = Array.from({ length: options.allocations }, () => new Holder(options))
  const say = (line: HoldLine) => process.stdout.write(`${JSON.stringify(line)}\n`)
  say({ done: 'open', failed: await spreadOver(holders, options.perSecond, (holder) => holder.open()) })
  for await (const _ of createInterface({ input: process.stdin })) {
    say({ done: 'refresh', failed: await spreadOver(holders, options.perSecond, (one) => one.refresh()) })
  }
  for (const holder of holders) holder.close()
}

await main()
