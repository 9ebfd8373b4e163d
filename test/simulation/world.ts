import assert from 'node:assert/strict'
import { relayConfig } from '../../relay/api/config.ts'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress, parseAddress } from '../../relay/stun/address-text.ts'
import type { StunCrypto } from '../../relay/stun/crypto.ts'
import {
  type Forward,
  HEAD_ROOM_BYTES,
  type Link,
  type Output,
  TAIL_ROOM_BYTES,
} from '../../relay/turn/contract.ts'
import { LocalQuota } from '../../relay/turn/quota.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import { type TurnServerConfig, turnServerConfig } from '../../relay/turn/server-config.ts'
import { EventQueue } from './event-queue.ts'
import { Network, type PathQuality } from './network.ts'
import type { Random } from './random.ts'
import { ReferenceModel } from './reference-model.ts'

const PACKET_BYTES_MAX = 2048
const UDP_LINK = 1
/** Share of the messages that strangers learn. */
const OVERHEAR = 0.2
const RELAY_IP = '203.0.113.10'
const EPOCH_MS = 1_800_000_000_000

/** What receives packets at an address of the virtual network. */
export interface Receiver {
  receive(bytes: Uint8Array, from: TransportAddress): void
}

/** What went through, to see that a run tested something. */
export interface Tally {
  toPeers: number
  toClients: number
  hairpins: number
  answers: number
  binds: number
  bindFailures: number
  opened: number
  closed: Record<string, number>
  serverSteps: number
}

/**
 * A TURN server in virtual time on a bad network. After every step of the server its outputs are compared with
 * the reference model; a difference is an assertion that names it.
 */
export class World {
  readonly events = new EventQueue()
  readonly random: Random
  readonly crypto: StunCrypto
  readonly network: Network
  readonly model = new ReferenceModel()
  readonly server: TurnServer
  readonly quota = new LocalQuota()
  readonly peers = new Map<string, Receiver>()
  readonly tally: Tally = {
    toPeers: 0,
    toClients: 0,
    hairpins: 0,
    answers: 0,
    binds: 0,
    bindFailures: 0,
    opened: 0,
    closed: {},
    serverSteps: 0,
  }
  readonly serverAddress: TransportAddress
  readonly #clients = new Map<
    string,
    { receiver: Receiver; carry: (deliver: () => void) => void; at: TransportAddress }
  >()
  readonly #bound = new Map<number, TransportAddress>()
  readonly #ports = new Uint8Array(65_536)
  readonly #binding = new Set<number>()
  readonly #perUser = new Map<string, number>()
  /** 5-tuples whose allocation was ended by other than its owner or time. */
  readonly cut = new Set<string>()
  readonly #strangers = new Set<string>()
  /** A message of some client that a stranger has learnt. */
  overheard: Uint8Array | undefined
  readonly #buffer = new Uint8Array(HEAD_ROOM_BYTES + PACKET_BYTES_MAX + TAIL_ROOM_BYTES)
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
    this.#config = turnServerConfig(
      relayConfig.parse({
        realm: 'sim',
        listeners: [{ protocol: 'udp', port: 3478 }],
        relay: { addresses: [{ advertise: RELAY_IP }], ports: { min: 50_000, max: 50_255 } },
        credentials: { keys: [{ id: 'k', secret: 'rest secret' }] },
        nonceKeys: [{ id: 'n', secret: 'nonce secret' }],
        limits: { ...limits, nonceLifetimeSeconds: 120, allocationLifetimeSeconds: 300 },
      }),
    )
    const { crypto, quota } = this
    this.server = new TurnServer({ config: this.#config, crypto, quota, portMap: () => this.#ports })
    this.server.setWallClockOffset(EPOCH_MS)
    this.serverAddress = at(`${RELAY_IP}:3478`)
    this.server.addLink({ id: UDP_LINK, transport: 'udp', local: this.serverAddress, remote: undefined })
  }

  get now(): number {
    return this.events.now
  }

  get unixSeconds(): number {
    return (EPOCH_MS + this.now) / 1000
  }

  /** Puts a client on the network; a stream client gets a link of its own. Returns how it sends to the server. */
  connect(
    address: TransportAddress,
    transport: 'udp' | 'tcp',
    receiver: Receiver,
  ): { link: number; send(bytes: Uint8Array): void } {
    const link = transport === 'udp' ? UDP_LINK : ++this.#lastLink
    if (transport === 'tcp')
      this.#step(() =>
        this.server.addLink({
          id: link,
          transport,
          local: this.serverAddress,
          remote: address.clone(),
        } satisfies Link),
      )
    const carryIn =
      transport === 'udp' ? (deliver: () => void) => this.network.datagram(deliver) : this.network.stream()
    const carryOut =
      transport === 'udp' ? (deliver: () => void) => this.network.datagram(deliver) : this.network.stream()
    this.#clients.set(key(link, address), { receiver, carry: carryOut, at: address })
    return { link, send: (bytes) => carryIn(() => this.fromClient(link, address, bytes)) }
  }

  /** A stream client hangs up; a UDP client just falls silent. */
  disconnect(link: number, address: TransportAddress): void {
    this.#clients.delete(key(link, address))
    if (link !== UDP_LINK) this.#step(() => this.server.removeLink(link, this.now))
  }

  /** A message reaches the server, from whoever claims to be at `from`. */
  fromClient(link: number, from: TransportAddress, bytes: Uint8Array): void {
    const client = key(link, from)
    this.model.arrived(client, bytes)
    if (this.random.chance(OVERHEAR)) this.overheard = bytes
    const length = this.#fill(bytes)
    this.#step(() => {
      const forward = this.server.handleClientData(
        link,
        from,
        this.#buffer,
        HEAD_ROOM_BYTES,
        length,
        this.now,
      )
      if (forward) this.#forwardFromClient(client, forward)
      else this.#checkMayDrop(client, bytes)
    })
  }

  /** A datagram reaches a relay port, where one is bound. */
  toRelay(relayed: TransportAddress, from: TransportAddress, bytes: Uint8Array): void {
    for (const [relay, bind] of this.#bound) {
      if (bind.port !== relayed.port) continue
      const length = this.#fill(bytes)
      this.#step(() => {
        const forward = this.server.handlePeerData(
          relay,
          from,
          this.#buffer,
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
    this.#strangers.add(key(UDP_LINK, stranger))
    this.fromClient(UDP_LINK, stranger, bytes)
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
    assert.deepEqual(
      [allocationCount, permissionCount, channelCount, reservationCount],
      [0, 0, 0, 0],
      'state leaked',
    )
    assert.equal(this.#bound.size, 0, 'relay sockets leaked')
    assert.equal(this.quota.total, 0, 'quota leaked')
    assert.ok(!this.#ports.some((port) => port !== 0), 'ports leaked')
    assert.equal(this.server.pollTimeout(), Number.POSITIVE_INFINITY, 'a timer leaked')
  }

  #fill(bytes: Uint8Array): number {
    this.#buffer.fill(0xee)
    this.#buffer.set(bytes, HEAD_ROOM_BYTES)
    return bytes.length
  }

  /** One call into the server, then all that it has to say. */
  #step(call: () => void): void {
    this.tally.serverSteps++
    call()
    for (let output = this.server.nextOutput(); output; output = this.server.nextOutput()) this.#play(output)
    assert.ok(
      this.server.allocationCount <= this.#config.limits.allocations,
      'more allocations than the limit',
    )
    assert.ok(this.#bound.size <= this.server.allocationCount, 'a relay socket without an allocation')
    this.#schedule()
  }

  #play(output: Output): void {
    if (output.kind === 'transmit') this.#transmit(output)
    else if (output.kind === 'bind-relay') this.#bind(output.relay, output.bind)
    else if (output.kind === 'close-relay') {
      this.#bound.delete(output.relay)
      this.#binding.delete(output.relay)
    } else if (output.kind === 'allocation-opened') this.#opened(output)
    else if (output.kind === 'allocation-closed') this.#closed(output)
  }

  #opened({ allocation }: Extract<Output, { kind: 'allocation-opened' }>): void {
    this.tally.opened++
    for (const { port } of allocation.relayed) {
      assert.ok(
        [...this.#bound.values()].some((bind) => bind.port === port),
        'success before the socket was bound',
      )
    }
    const user = userOf(allocation.username)
    const held = (this.#perUser.get(user) ?? 0) + 1
    assert.ok(held <= this.#config.limits.allocationsPerUser, `${user} holds more than the quota`)
    this.#perUser.set(user, held)
  }

  #closed({ allocation, reason }: Extract<Output, { kind: 'allocation-closed' }>): void {
    const client = key(allocation.link, allocation.client)
    const user = userOf(allocation.username)
    this.#perUser.set(user, this.#perUser.get(user)! - 1)
    this.tally.closed[reason] = (this.tally.closed[reason] ?? 0) + 1
    this.model.closed(client)
    if (reason === 'revoked' || reason === 'relay-failed') this.cut.add(client)
  }

  #transmit({ link, to, bytes }: Extract<Output, { kind: 'transmit' }>): void {
    const client = key(link, to)
    this.tally.answers++
    this.model.answered(client, bytes, this.now)
    assert.ok(
      !this.#strangers.has(client) || !this.model.allocations.has(client),
      `${client} got in with a replayed message`,
    )
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
    this.tally.binds++
    for (const other of this.#bound.values())
      assert.notEqual(other.port, bind.port, 'a port that is in use was handed out')
    this.#binding.add(relay)
    const fails = this.random.chance(0.1)
    this.events.after(this.random.between(0, 50), () => {
      const wanted = this.#binding.delete(relay)
      this.#step(() => {
        if (fails) {
          this.tally.bindFailures++
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
    if (forward.target === 'client') {
      // Hairpin: straight to the other client of this relay.
      this.tally.hairpins++
      const other = key(forward.socket, forward.to)
      const both =
        this.model.permits(client, this.serverAddress, this.now) &&
        this.model.permits(other, this.serverAddress, this.now)
      assert.ok(both, `${client} and ${other} met without permissions`)
      this.#deliver(other, this.#taken(forward))
      return
    }
    this.tally.toPeers++
    const to = forward.to.clone()
    assert.ok(
      this.model.permits(client, to, this.now),
      `${client} reached ${formatAddress(to)} without a permission`,
    )
    const from = at(`${RELAY_IP}:${this.#bound.get(forward.socket)?.port}`)
    const bytes = this.#taken(forward)
    this.network.datagram(() => this.peers.get(formatAddress(to))?.receive(bytes, from))
  }

  #forwardToClient(forward: Forward, from: TransportAddress): void {
    this.tally.toClients++
    assert.equal(forward.target, 'client')
    const client = key(forward.socket, forward.to)
    assert.ok(
      this.model.permits(client, from, this.now),
      `${formatAddress(from)} reached ${client} without a permission`,
    )
    this.#deliver(client, this.#taken(forward))
  }

  /** What a live channel carries must not be dropped. */
  #checkMayDrop(client: string, bytes: Uint8Array): void {
    if (bytes[0]! < 0x40 || bytes[0]! > 0x4f || bytes.length < 4) return
    const peer = this.model.channelPeer(client, (bytes[0]! << 8) | bytes[1]!, this.now)
    if (peer === undefined || peer.startsWith(RELAY_IP)) return
    assert.fail(`${client} lost data for ${peer} on a live channel`)
  }

  #taken(forward: Forward): Uint8Array {
    return this.#buffer.slice(forward.offset, forward.offset + forward.length)
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

/** An address from `192.0.2.1:80`. */
export function at(text: string): TransportAddress {
  const colon = text.lastIndexOf(':')
  const address = parseAddress(text.slice(0, colon), Number(text.slice(colon + 1)))
  assert.ok(address, text)
  return address
}

/** What quotas are counted by: the part of a TURN REST username after its expiry. */
function userOf(username: string): string {
  return username.slice(username.indexOf(':') + 1)
}

/** A 5-tuple. */
export function key(link: number, client: TransportAddress): string {
  return `${link}/${formatAddress(client)}`
}
