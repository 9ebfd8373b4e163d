import { SocketLoop } from '../bench/packets/socket-loop.ts'
import { Caller, type Way } from './callers.ts'
import { Flow, PAYLOAD_BYTES, type Peer } from './flow.ts'

/** Flows that are being set up at a time. */
const OPENING_MAX = 32
const TEND_MS = 20
/** Exchanges of one turn; what is due beyond comes with the next. */
const EXCHANGES_MAX = 256
/** After so long without an arrival nothing is under way any more. */
const QUIET_MS = 500
const NEWCOMER_TIMEOUT_MS = 10_000

interface Newcomer {
  readonly caller: Caller
  readonly deadline: number
}

/** Clients in traffic, and others that come and go, on all ways into a relay. */
export class Load {
  readonly flows: Flow[] = []
  /** New clients that got an allocation, and why others did not. */
  served = 0
  readonly refused: string[] = []
  /** How far the load is behind what is asked for. */
  late = 0
  readonly #loop = new SocketLoop()
  readonly #ways: readonly Way[]
  readonly #peers: { readonly 4: Peer; readonly 6: Peer }
  readonly #newcomers = new Set<Newcomer>()
  readonly #packetsPerSecond: number
  #running = false
  #stopped: Promise<void> = Promise.resolve()
  #exchanged = 0
  #startedAt = 0
  #tendAt = 0
  #nextFlow = 0
  #nextNewcomer = 0
  #newcomersEveryMs = Number.POSITIVE_INFINITY
  #newcomerAt = 0
  #arrivedAt = 0

  /** `packetsPerSecond` of each allocation, half of them each way. */
  constructor(ways: readonly Way[], packetsPerSecond: number) {
    this.#ways = ways
    this.#packetsPerSecond = packetsPerSecond
    const open = (address: string): Peer => ({
      socket: this.#loop.open(address, {
        datagram: (bytes, offset, length) => {
          if (length !== PAYLOAD_BYTES) return
          const number = new DataView(bytes.buffer, bytes.byteOffset + offset, 4).getUint32(0)
          this.flows[number]!.upReceived++
          this.#arrivedAt = performance.now()
        },
      }),
    })
    this.#peers = { 4: open('127.0.0.1'), 6: open('::1') }
  }

  start(): void {
    this.#running = true
    this.#startedAt = performance.now()
    this.#stopped = new Promise((resolve) => {
      const turn = () => {
        this.#turn(performance.now())
        if (this.#running) setImmediate(turn)
        else resolve()
      }
      setImmediate(turn)
    })
  }

  /** So many allocations more, evenly on all ways; resolves when they are in traffic. */
  async add(count: number): Promise<void> {
    const end = this.flows.length + count
    while (this.flows.length < end || this.#opening().length > 0) {
      while (this.flows.length < end && this.#opening().length < OPENING_MAX) {
        const number = this.flows.length
        const way = this.#ways[number % this.#ways.length]!
        this.flows.push(new Flow(this.#loop, way, this.#peers[way.address.includes(':') ? 6 : 4], number))
      }
      const broken = this.flows.find(({ caller }) => caller.failure)
      if (broken) throw new Error(`${broken.way.transport}: ${broken.caller.failure}`)
      await pause(TEND_MS)
    }
    this.#restart()
  }

  /** From now on a new client comes so often, and goes when it has an allocation. */
  newcomersEvery(ms: number): void {
    this.#newcomersEveryMs = ms
  }

  /** Sends nothing more, and waits for what is under way. */
  async finish(): Promise<void> {
    this.#newcomersEveryMs = Number.POSITIVE_INFINITY
    this.#exchanging = false
    this.#arrivedAt = performance.now()
    while (this.#newcomers.size > 0 || performance.now() - this.#arrivedAt < QUIET_MS) await pause(TEND_MS)
  }

  async close(): Promise<void> {
    this.#running = false
    await this.#stopped
    for (const { caller } of this.flows) caller.close()
    this.#loop.close()
  }

  #exchanging = true

  #opening(): Flow[] {
    return this.flows.filter(({ ready, caller }) => !ready && !caller.failure)
  }

  /** What is due is counted from now. */
  #restart(): void {
    this.#startedAt = performance.now()
    this.#exchanged = 0
  }

  #turn(now: number): void {
    if (now >= this.#tendAt) this.#tend(now)
    const due = this.#exchanging ? this.#due(now) : 0
    for (let i = 0; i < Math.min(due, EXCHANGES_MAX); i++) this.#exchange()
    this.late = Math.max(this.late, due - EXCHANGES_MAX)
    this.#loop.turn(due > 0 ? 0 : 1)
  }

  #due(now: number): number {
    const exchangesPerSecond = (this.flows.length * this.#packetsPerSecond) / 2
    return Math.floor(((now - this.#startedAt) * exchangesPerSecond) / 1000) - this.#exchanged
  }

  #exchange(): void {
    this.#exchanged++
    const flow = this.flows[this.#nextFlow++ % this.flows.length]
    if (flow?.ready && !flow.caller.failure) flow.exchange()
  }

  #tend(now: number): void {
    this.#tendAt = now + TEND_MS
    for (const flow of this.#opening()) flow.tend(now)
    for (const newcomer of this.#newcomers) this.#tendNewcomer(newcomer, now)
    if (now < this.#newcomerAt || this.#newcomersEveryMs === Number.POSITIVE_INFINITY) return
    this.#newcomerAt = now + this.#newcomersEveryMs
    const way = this.#ways[this.#nextNewcomer++ % this.#ways.length]!
    const caller = new Caller(this.#loop, way, () => undefined)
    caller.turn.allocate(now)
    caller.pump()
    this.#newcomers.add({ caller, deadline: now + NEWCOMER_TIMEOUT_MS })
  }

  #tendNewcomer(newcomer: Newcomer, now: number): void {
    const { caller, deadline } = newcomer
    const { turn, way } = caller
    turn.handleTimeout(now)
    let done = false
    for (let event = turn.nextEvent(); event; event = turn.nextEvent()) {
      if (event.kind === 'failed') caller.failure ??= `${event.step}: ${event.cause} ${event.code}`
      if (event.kind === 'allocated') {
        this.served++
        turn.refresh(now, 0)
      }
      if (event.kind === 'closed') done = true
    }
    caller.pump()
    if (now > deadline) caller.failure ??= 'no answer'
    if (caller.failure) this.refused.push(`${way.transport} ${way.address}: ${caller.failure}`)
    if (!done && !caller.failure) return
    this.#newcomers.delete(newcomer)
    caller.close()
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
