import { setTimeout as sleep } from 'node:timers/promises'
import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { Strangers } from './flood.ts'
import { Flow } from './flow.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import type { Flood, LoadLine, LoadOptions } from './load-options.ts'
import { SocketLoop } from './socket-loop.ts'
import { someAtATime } from './some-at-a-time.ts'

/** Bursts that leave before what came back is looked at. */
const BURSTS_PER_TURN = 64
/** After so long without an arrival nothing is under way any more. */
const QUIET_MS = 100
/** Of so many arrivals one is timed. */
const LATENCY_SAMPLE = 8

/** Sends at an offered rate, whatever comes back, and counts what does. */
class Load {
  sent = 0
  received = 0
  readonly latency = new LatencyHistogram()
  readonly #options: LoadOptions
  readonly #loop = new SocketLoop()
  readonly #flows: Flow[] = []
  #strangers: Strangers | undefined
  readonly #peers: UdpSocket[] = []
  #now = 0
  #nextFlow = 0
  #lastArrival = 0

  constructor(options: LoadOptions) {
    this.#options = options
  }

  /** Sets all flows up. */
  open(): void {
    someAtATime(this.#loop, () => {
      if (this.#flows.length === this.#options.flows) return undefined
      const flow = new Flow(this.#loop, this.#options, this, this.#nextPeer())
      this.#flows.push(flow)
      flow.open()
      return flow
    })
  }

  /** Packets of strangers beside the load from now on. */
  flood(flood: Flood): void {
    this.#strangers = new Strangers(this.#loop, this.#options, flood)
  }

  get flooded(): number {
    return this.#strangers?.sent ?? 0
  }

  /** A socket of its own for the peer of a flow, or one that several share. */
  #nextPeer(): UdpSocket {
    const { flows, peers = flows, local, payloadBytes } = this.#options
    const shared = this.#flows.length < peers ? undefined : this.#peers[this.#flows.length % peers]
    if (shared) return shared
    const peer = this.#loop.open(local, {
      datagram: (bytes, offset, length) => {
        if (length === payloadBytes) this.arrived(bytes, offset)
      },
    })
    this.#peers.push(peer)
    return peer
  }

  /** Offers the load for a time, and waits until nothing more comes. */
  run(seconds: number): void {
    this.sent = 0
    this.received = 0
    this.latency.clear()
    const { packetsPerSecond, burst } = this.#options
    const start = performance.now()
    const end = start + seconds * 1000
    for (this.#now = start; this.#now < end; this.#now = performance.now()) {
      const due = ((this.#now - start) * packetsPerSecond) / 1000
      for (let bursts = 0; this.sent + burst <= due && bursts < BURSTS_PER_TURN; bursts++) this.#burst()
      this.#strangers?.send(this.#now - start)
      this.#loop.turn()
    }
    this.#lastArrival = performance.now()
    for (; this.#now - this.#lastArrival < QUIET_MS; this.#now = performance.now()) this.#loop.turn(1)
  }

  arrived(bytes: Uint8Array, payloadOffset: number): void {
    this.received++
    this.#lastArrival = this.#now
    if (this.received % LATENCY_SAMPLE !== 0) return
    const view = new DataView(bytes.buffer, bytes.byteOffset + payloadOffset, 8)
    this.latency.add((performance.now() - view.getFloat64(0)) * 1000)
  }

  close(): void {
    this.#loop.close()
  }

  #burst(): void {
    const { burst, direction } = this.#options
    const turn = this.#nextFlow++
    const both = direction === 'both'
    const flow = this.#flows[(both ? turn >> 1 : turn) % this.#flows.length]!
    const up = both ? (turn & 1) === 0 : direction === 'up'
    for (let i = 0; i < burst; i++) {
      if (up) flow.up(this.#now)
      else flow.down(this.#now)
    }
    this.sent += burst
  }
}

function say(line: LoadLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

const options = JSON.parse(process.argv[2] ?? '{}') as LoadOptions
const load = new Load(options)
load.open()
say({ kind: 'ready' })
load.run(options.warmUpSeconds)
if (options.restSeconds) {
  say({ kind: 'rest' })
  await sleep(options.restSeconds * 1000)
}
if (options.flood) load.flood(options.flood)
say({ kind: 'start' })
load.run(options.seconds)
say({
  kind: 'end',
  seconds: options.seconds,
  sent: load.sent,
  received: load.received,
  latency: load.latency.read(),
  flooded: load.flooded,
})
load.close()
