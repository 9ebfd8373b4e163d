import assert from 'node:assert/strict'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import type { ServerCrypto } from '../../relay/stun/crypto.ts'
import { type Forward, HEAD_ROOM_BYTES, type Output } from '../../relay/turn/contract.ts'
import { LocalQuota } from '../../relay/turn/quota.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import type { TurnServerConfig } from '../../relay/turn/server-config.ts'
import { Checker } from './checker.ts'
import { restCredential, simulatedConfig } from './config.ts'
import { EventQueue } from './event-queue.ts'
import { at, key, RELAY_IP } from './names.ts'
import { Network, type PathQuality } from './network.ts'
import { PacketBuffer } from './packet-buffer.ts'
import type { Random } from './random.ts'
import { TcpNetwork } from './tcp-network.ts'

const UDP_LINK = 1
/** Share of the messages that strangers learn. */
const OVERHEAR = 0.2
const EPOCH_MS = 1_800_000_000_000

/** What receives packets at an address of the virtual network. */
export interface Receiver {
  receive(bytes: Uint8Array, from: TransportAddress): void
}

/**
 * A TURN server in virtual time on a bad network. After every step of the server its outputs are compared with
 * the reference model; a difference is an assertion that names it.
 */
export class World {
  readonly events = new EventQueue()
  readonly random: Random
  readonly crypto: ServerCrypto
  readonly network: Network
  readonly checker = new Checker()
  readonly server: TurnServer
  readonly tcp: TcpNetwork
  readonly quota = new LocalQuota()
  readonly peers = new Map<string, Receiver>()
  readonly serverAddress: TransportAddress
  readonly #clients = new Map<string, { receiver: Receiver; carry: (deliver: () => void) => void }>()
  readonly #bound = new Map<number, TransportAddress>()
  readonly #portMaps = { 4: new Uint8Array(65_536), 6: new Uint8Array(65_536) }
  readonly #binding = new Set<number>()
  /** A message of some client that a stranger has learnt. */
  overheard: Uint8Array | undefined
  readonly #packet = new PacketBuffer()
  #config: TurnServerConfig
  #lastLink = UDP_LINK
  #wakeAt = Number.POSITIVE_INFINITY

  constructor(
    random: Random,
    quality: PathQuality,
    limits: { allocations: number; allocationsPerUser: number },
  ) {
    this.random = random
    this.crypto = { ...nodeCrypto, randomBytes: (length) => random.bytes(length) }
    this.network = new Network(this.events, random, quality)
    this.#config = simulatedConfig(limits, random.chance(0.5))
    const { crypto, quota } = this
    this.server = new TurnServer({
      config: this.#config,
      crypto,
      quota,
      tcpPeers: true,
      portMap: ({ advertise }) => this.#portMaps[advertise.family],
    })
    this.tcp = new TcpNetwork({
      server: this.server,
      events: this.events,
      random,
      step: (call) => this.#step(call),
      hangUp: (link) => this.#hangUp(link),
    })
    this.server.setWallClockOffset(EPOCH_MS)
    this.serverAddress = at(`${RELAY_IP}:3478`)
    this.server.addLink({ id: UDP_LINK, transport: 'udp', local: this.serverAddress, remote: undefined })
  }

  get now(): number {
    return this.events.now
  }

  /** Puts a client on the network; a stream client gets a link of its own. Returns how it sends to the server. */
  connect(
    address: TransportAddress,
    transport: 'udp' | 'tcp',
    receiver: Receiver,
  ): { link: number; send(bytes: Uint8Array): void } {
    const link = transport === 'udp' ? UDP_LINK : ++this.#lastLink
    const remote = address.clone()
    if (transport === 'tcp') {
      this.#step(() => this.server.addLink({ id: link, transport, local: this.serverAddress, remote }))
    }
    const path = () =>
      transport === 'udp' ? (deliver: () => void) => this.network.datagram(deliver) : this.network.stream()
    const [carryIn, carryOut] = [path(), path()]
    this.#clients.set(key(link, address), { receiver, carry: carryOut })
    return { link, send: (bytes) => carryIn(() => this.fromClient(link, address, bytes)) }
  }

  /** A stream client hangs up; a UDP client just falls silent. */
  disconnect(link: number, address: TransportAddress): void {
    this.#clients.delete(key(link, address))
    if (link !== UDP_LINK) this.#step(() => this.server.removeLink(link, this.now))
  }

  /** The server, or the other end of a splice, ends a stream. */
  #hangUp(link: number): void {
    for (const name of this.#clients.keys()) if (name.startsWith(`${link}/`)) this.#clients.delete(name)
    this.#step(() => this.server.removeLink(link, this.now))
  }

  /** A peer opens a TCP connection to a relayed address. */
  peerConnects(relayed: TransportAddress, from: TransportAddress): void {
    for (const [relay, bind] of this.#bound) if (bind.equals(relayed)) this.tcp.arrive(relay, from)
  }

  /** A message reaches the server, from whoever claims to be at `from`. */
  fromClient(link: number, from: TransportAddress, bytes: Uint8Array): void {
    // What a spliced stream carries is no message.
    if (this.tcp.isSpliced(link)) return
    const client = key(link, from)
    this.checker.model.arrived(client, bytes)
    if (this.random.chance(OVERHEAR)) this.overheard = bytes
    const length = this.#packet.fill(bytes)
    this.#step(() => {
      const forward = this.server.handleClientData(
        link,
        from,
        this.#packet.bytes,
        HEAD_ROOM_BYTES,
        length,
        this.now,
      )
      if (forward) this.#forwardFromClient(client, forward)
      else this.checker.dropped(client, bytes, this.now)
    })
  }

  /** A datagram reaches a relay port, where one is bound. */
  toRelay(relayed: TransportAddress, from: TransportAddress, bytes: Uint8Array): void {
    for (const [relay, bind] of this.#bound) {
      if (!bind.equals(relayed)) continue
      const length = this.#packet.fill(bytes)
      this.#step(() => {
        const forward = this.server.handlePeerData(
          relay,
          from,
          this.#packet.bytes,
          HEAD_ROOM_BYTES,
          length,
          this.now,
        )
        if (forward) this.#forwardToClient(forward, from)
      })
    }
  }

  /** Sends a message of one client from the address of another: what is not bound to its sender would be obeyed. */
  replay(stranger: TransportAddress, bytes: Uint8Array): void {
    this.checker.strangers.add(key(UDP_LINK, stranger))
    this.fromClient(UDP_LINK, stranger, bytes)
  }

  /** A TURN REST credential of this world, good for an hour. */
  restCredential(user: string, hmac: 'hmacSha1' | 'hmacSha256' = 'hmacSha1') {
    return restCredential(this.crypto[hmac], (EPOCH_MS + this.now) / 1000, user)
  }

  reconfigure(change: (config: TurnServerConfig) => TurnServerConfig): void {
    this.#config = change(this.#config)
    this.#step(() => this.server.updateConfig(this.#config))
  }

  revoke(user: string): void {
    this.#step(() => this.server.revoke(user, this.now))
  }

  run(untilMs: number): void {
    while (this.events.step(untilMs)) this.#schedule()
  }

  /** Nothing may be left once every client is gone and every lifetime has passed. */
  checkEmpty(): void {
    const { allocationCount, permissionCount, channelCount, reservationCount } = this.server
    const held = [allocationCount, permissionCount, channelCount, reservationCount]
    assert.deepEqual(held, [0, 0, 0, 0], 'state leaked')
    assert.equal(this.#bound.size, 0, 'relay sockets leaked')
    assert.deepEqual([this.server.peerConnectionCount, this.tcp.size], [0, 0], 'connections leaked')
    assert.equal(this.quota.total, 0, 'quota leaked')
    for (const ports of Object.values(this.#portMaps)) assert.ok(!ports.some(Boolean), 'ports leaked')
    assert.equal(this.server.pollTimeout(), Number.POSITIVE_INFINITY, 'a timer leaked')
  }

  /** One call into the server, then all that it has to say. */
  #step(call: () => void): void {
    this.checker.tally.serverSteps++
    call()
    for (let output = this.server.nextOutput(); output; output = this.server.nextOutput()) this.#play(output)
    assert.ok(
      this.server.allocationCount <= this.#config.limits.allocations,
      'more allocations than the limit',
    )
    assert.ok(this.#bound.size <= 2 * this.server.allocationCount, 'a relay socket without an allocation')
    this.#schedule()
  }

  #play(output: Output): void {
    if (this.tcp.play(output)) return
    if (output.kind === 'transmit') this.#transmit(output)
    else if (output.kind === 'bind-relay') this.#bind(output.relay, output.bind)
    else if (output.kind === 'close-relay') {
      this.#bound.delete(output.relay)
      this.#binding.delete(output.relay)
    } else if (output.kind === 'allocation-opened') {
      this.checker.opened(output, [...this.#bound.values()], this.#config.limits.allocationsPerUser)
    } else if (output.kind === 'allocation-closed') this.checker.closed(output)
  }

  #transmit({ link, to, bytes }: Extract<Output, { kind: 'transmit' }>): void {
    const client = key(link, to)
    this.checker.answered(client, bytes, this.now)
    this.#deliver(client, bytes)
  }

  #deliver(client: string, bytes: Uint8Array): void {
    const known = this.#clients.get(client)
    known?.carry(() => {
      if (this.#clients.get(client) === known) known.receiver.receive(bytes, this.serverAddress)
    })
  }

  /** The system binds after a while, and sometimes not; it may answer after the machine has lost interest. */
  #bind(relay: number, bind: TransportAddress): void {
    this.checker.tally.binds++
    for (const other of this.#bound.values()) {
      assert.ok(!other.equals(bind), 'a port that is in use was handed out')
    }
    this.#binding.add(relay)
    const fails = this.random.chance(0.1)
    this.events.after(this.random.between(0, 50), () => {
      const wanted = this.#binding.delete(relay)
      this.#step(() => {
        if (fails) {
          this.checker.tally.bindFailures++
          this.server.relayBindFailed(
            relay,
            this.random.chance(0.8) ? 'port-in-use' : 'unavailable',
            this.now,
          )
          return
        }
        if (wanted) this.#bound.set(relay, bind)
        this.server.relayBound(relay, this.now)
      })
    })
  }

  #forwardFromClient(client: string, forward: Forward): void {
    this.checker.model.sentFrom(client)
    const to = forward.to.clone()
    const bytes = this.#packet.taken(forward)
    if (forward.target === 'client') {
      const other = key(forward.socket, to)
      this.checker.met(client, other, this.now)
      this.#deliver(other, bytes)
      return
    }
    this.checker.sentToPeer(client, to, this.now)
    const from = this.#bound.get(forward.socket)
    assert.ok(from, 'data left by a socket that is not bound')
    this.network.datagram(() => this.peers.get(formatAddress(to))?.receive(bytes, from.clone()))
  }

  #forwardToClient(forward: Forward, from: TransportAddress): void {
    assert.equal(forward.target, 'client')
    const client = key(forward.socket, forward.to)
    this.checker.sentToClient(client, from, this.now)
    this.#deliver(client, this.#packet.taken(forward))
  }

  #schedule(): void {
    const due = this.server.pollTimeout()
    if (due >= this.#wakeAt) return
    this.#wakeAt = due
    this.events.at(due, () => {
      if (this.#wakeAt !== due) return
      this.#wakeAt = Number.POSITIVE_INFINITY
      this.#step(() => this.server.handleTimeout(this.now))
      assert.ok(this.server.pollTimeout() > this.now, 'a timeout that was handled is due again')
    })
  }
}
