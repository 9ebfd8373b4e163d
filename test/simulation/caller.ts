import assert from 'node:assert/strict'
import type { AllocateOptions, ClientEvent } from '../../relay/client/contract.ts'
import { TurnClient } from '../../relay/client/turn-client.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { at, key } from './names.ts'
import type { World } from './world.ts'

const CHANNEL_FIRST = 0x4000
/** How often a call that failed is tried again from another port. */
const ATTEMPTS_MAX = 8

/** How a browser keeps its allocation (Chrome refreshes and rebinds early; Firefox late, and knows no channels). */
export interface Habits {
  readonly transport: 'udp' | 'tcp'
  readonly allocate: AllocateOptions
  readonly channels: boolean
  readonly refreshBeforeMs: number
  readonly permitEveryMs: number
  readonly talkEveryMs: number
  /** What the caller does at the end: give the allocation back, or vanish. */
  readonly leaves: 'politely' | 'silently'
}

/** One person in a call through the relay: allocates, talks to peers, refreshes, leaves. */
export class Caller {
  readonly world: World
  readonly id: number
  readonly habits: Habits
  peers: readonly TransportAddress[]
  address: TransportAddress
  relayed: readonly TransportAddress[] = []
  sent = 0
  #client: TurnClient
  #wire: { link: number; send(bytes: Uint8Array): void }
  #generation = 0
  #attempts = 1
  #bound = new Set<number>()
  #gone = false
  #expectedUntil = 0
  #lastRelayed: readonly string[] = []

  constructor(world: World, id: number, habits: Habits, peers: readonly TransportAddress[]) {
    this.world = world
    this.id = id
    this.habits = habits
    this.peers = peers
    this.address = this.#newAddress()
    this.#client = this.#newClient()
    this.#wire = this.#connect()
    this.#client.allocate(world.now, habits.allocate)
    this.#pump()
  }

  /** Learns of another peer, as by signalling. */
  meet(peer: TransportAddress): void {
    this.peers = [...this.peers, peer.clone()]
    this.#client.createPermission(this.world.now, [peer])
    this.#pump()
  }

  leave(): void {
    if (this.#gone) return
    this.#gone = true
    if (this.habits.leaves === 'politely' && this.relayed.length > 0) this.#client.refresh(this.world.now, 0)
    this.#pump()
    this.world.events.after(60_000, () => this.world.disconnect(this.#wire.link, this.address))
  }

  #connect(): { link: number; send(bytes: Uint8Array): void } {
    return this.world.connect(this.address, this.habits.transport, {
      receive: (bytes) => {
        if (this.#gone && this.habits.leaves === 'silently') return
        this.#client.handleData(bytes, 0, bytes.length, this.world.now)
        this.#pump()
      },
    })
  }

  #newAddress(): TransportAddress {
    return at(`198.18.${this.id >> 8}.${this.id & 255}:${1024 + this.#generation}`)
  }

  #newClient(): TurnClient {
    const hmac = this.id % 2 === 0 ? 'hmacSha1' : 'hmacSha256'
    const { username, password } = this.world.restCredential(`user${this.id % 4}`, hmac)
    const { transport } = this.habits
    return new TurnClient({ transport, username, password, crypto: this.world.crypto })
  }

  /** Sends what the client has to send, hears what it has to say, and waits for its next timeout. */
  #pump(): void {
    for (let bytes = this.#client.nextTransmit(); bytes; bytes = this.#client.nextTransmit())
      this.#wire.send(bytes)
    for (let event = this.#client.nextEvent(); event; event = this.#client.nextEvent()) this.#hear(event)
    const due = this.#client.pollTimeout()
    const client = this.#client
    if (due === Number.POSITIVE_INFINITY) return
    this.world.events.at(due, () => {
      if (client !== this.#client || this.world.now < client.pollTimeout()) return
      client.handleTimeout(this.world.now)
      this.#pump()
    })
  }

  #hear(event: ClientEvent): void {
    if (event.kind === 'allocated') this.#allocated(event.relayed, event.lifetimeSeconds)
    else if (event.kind === 'refreshed') this.#keep(event.lifetimeSeconds)
    else if (event.kind === 'bound') this.#bound.add(event.channel)
    else if (event.kind === 'data') this.#heardData(event.peer, event.data)
    else if (event.kind === 'failed') this.#failed(event)
  }

  #allocated(relayed: readonly TransportAddress[], lifetimeSeconds: number): void {
    this.relayed = relayed
    this.#lastRelayed = relayed.map(formatAddress)
    this.peers = this.peers.filter(({ family }) => relayed.some((own) => own.family === family))
    this.#keep(lifetimeSeconds)
    this.#permit()
    this.#talk()
  }

  #keep(lifetimeSeconds: number): void {
    const { world, habits } = this
    this.#expectedUntil = world.now + lifetimeSeconds * 1000
    this.#later(lifetimeSeconds * 1000 - habits.refreshBeforeMs, () => this.#client.refresh(world.now))
  }

  #permit(): void {
    this.#client.createPermission(this.world.now, this.peers)
    if (this.habits.channels) {
      this.peers.forEach((peer, i) => {
        this.#client.bindChannel(this.world.now, CHANNEL_FIRST + i, peer)
      })
    }
    this.#later(this.habits.permitEveryMs, () => this.#permit())
  }

  #talk(): void {
    this.peers.forEach((peer, i) => {
      const data = new TextEncoder().encode(`${this.id} ${this.sent++} ${formatAddress(peer)}`)
      if (this.#bound.has(CHANNEL_FIRST + i)) this.#client.sendChannel(CHANNEL_FIRST + i, data)
      else this.#client.sendIndication(peer, data)
    })
    this.#later(this.habits.talkEveryMs * this.world.random.between(0.5, 1.5), () => this.#talk())
  }

  /** Echoes come back from whom they were sent to, to whom had sent them, as they were. */
  #heardData(peer: TransportAddress, data: Uint8Array): void {
    const [id, , to] = new TextDecoder().decode(data).split(' ')
    const name = formatAddress(peer)
    assert.ok(
      this.peers.some((known) => known.sameIp(peer)),
      `${name} is no peer of caller ${this.id}`,
    )
    if (Number(id) === this.id) assert.equal(to, name, 'an echo came back from somebody else')
    else assert.ok(this.#lastRelayed.includes(to ?? ''), `data for another caller (${to}) arrived`)
  }

  #failed({ step, code }: Extract<ClientEvent, { kind: 'failed' }>): void {
    if (step !== 'allocate' && step !== 'refresh') return
    assert.ok(step !== 'allocate' || code !== ERROR.AllocationMismatch, 'one Allocate made two allocations')
    this.relayed = []
    this.#expectedUntil = 0
    if (this.#gone || this.#attempts++ >= ATTEMPTS_MAX) return
    this.#later(this.world.random.between(1_000, 20_000), () => this.#startAgain())
  }

  /** As a browser does: a new socket, a new allocation. */
  #startAgain(): void {
    this.world.disconnect(this.#wire.link, this.address)
    this.#generation++
    this.#bound.clear()
    this.address = this.#newAddress()
    this.#client = this.#newClient()
    this.#wire = this.#connect()
    this.#client.allocate(this.world.now, this.habits.allocate)
    this.#pump()
  }

  /** Does something later, unless the caller has left or started again. */
  #later(delayMs: number, act: () => void): void {
    const generation = this.#generation
    this.world.events.after(Math.max(100, delayMs), () => {
      if (this.#gone || generation !== this.#generation) return
      act()
      this.#pump()
    })
  }

  /** Until when the caller may count on its allocation, 0 where it has none. */
  get expectedUntil(): number {
    return this.#gone ? 0 : this.#expectedUntil
  }

  /** Its 5-tuple. */
  get key(): string {
    return key(this.#wire.link, this.address)
  }
}
