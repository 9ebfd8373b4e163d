import assert from 'node:assert/strict'
import type { TransportAddress } from '../../relay/stun/address.ts'
import type { Output } from '../../relay/turn/contract.ts'
import type { TurnServer } from '../../relay/turn/server.ts'
import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'

const ACCEPTS = 0.8
const ANSWER_MS_MAX = 3_000
const TALK_MS_MAX = 20_000

/** What went through, to see that a run tested something. */
export interface TcpTally {
  connects: number
  arrivals: number
  spliced: number
  bytes: number
}

export interface TcpNetworkOptions {
  readonly server: TurnServer
  readonly events: EventQueue
  readonly random: Random
  /** One call into the server, then all that it has to say. */
  readonly step: (call: () => void) => void
  /** A stream of a client ends. */
  readonly hangUp: (link: number) => void
}

/** TCP peers and the connections with them (RFC 6062): peers accept or not, talk for a while, and hang up. */
export class TcpNetwork {
  readonly tally: TcpTally = { connects: 0, arrivals: 0, spliced: 0, bytes: 0 }
  readonly #options: TcpNetworkOptions
  /** The client's link of each connection, once it is spliced. */
  readonly #connections = new Map<number, number | undefined>()

  constructor(options: TcpNetworkOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#connections.size
  }

  isSpliced(link: number): boolean {
    return [...this.#connections.values()].includes(link)
  }

  /** False where the output is about something else. */
  play(output: Output): boolean {
    if (output.kind === 'connect-peer') this.#connect(output.connection)
    else if (output.kind === 'splice') this.#splice(output.connection, output.link)
    else if (output.kind === 'close-peer') this.#connections.delete(output.connection)
    else if (output.kind === 'close-link') this.#soon(() => this.#options.hangUp(output.link))
    else return false
    return true
  }

  /** A peer connects to a relay socket. */
  arrive(relay: number, from: TransportAddress): void {
    const { server, events, step } = this.#options
    step(() => {
      const id = server.handlePeerConnection(relay, from, events.now)
      if (id === undefined) return
      this.tally.arrivals++
      assert.ok(!this.#connections.has(id), 'one number for two connections')
      this.#connections.set(id, undefined)
    })
  }

  #connect(id: number): void {
    const { server, events, random, step } = this.#options
    assert.ok(!this.#connections.has(id), 'one number for two connections')
    this.#connections.set(id, undefined)
    this.tally.connects++
    events.after(random.between(1, ANSWER_MS_MAX), () => {
      if (!this.#connections.has(id)) return
      if (random.chance(ACCEPTS)) step(() => server.peerConnected(id, events.now))
      else this.#close(id)
    })
  }

  #splice(id: number, link: number): void {
    assert.ok(this.#connections.has(id) && !this.isSpliced(link), 'a splice of what is not there')
    this.#connections.set(id, link)
    this.tally.spliced++
    this.#talk(id, link)
  }

  /** Bytes pass until one of the two has had enough. */
  #talk(id: number, link: number): void {
    const { server, events, random, step, hangUp } = this.#options
    events.after(random.between(10, TALK_MS_MAX), () => {
      if (this.#connections.get(id) !== link) return
      const what = random.below(6)
      if (what === 0) this.#close(id)
      else if (what === 1) hangUp(link)
      else {
        const bytes = 1 + random.below(60_000)
        this.tally.bytes += bytes
        step(() => void server.handleSplicedData(id, what % 2 === 0 ? 'client' : 'peer', bytes, events.now))
        this.#talk(id, link)
      }
    })
  }

  #close(id: number): void {
    this.#connections.delete(id)
    this.#options.step(() => this.#options.server.peerClosed(id))
  }

  #soon(act: () => void): void {
    this.#options.events.after(0, act)
  }
}
