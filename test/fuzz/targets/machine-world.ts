import assert from 'node:assert/strict'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { formatAddress, formatIp } from '../../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { readErrorCode, readText } from '../../../relay/stun/attributes.ts'
import { CLASS } from '../../../relay/stun/methods.ts'
import { StunReader } from '../../../relay/stun/reader.ts'
import {
  type BindFailure,
  type Forward,
  HEAD_ROOM_BYTES,
  type Output,
  TAIL_ROOM_BYTES,
} from '../../../relay/turn/contract.ts'
import { LocalQuota } from '../../../relay/turn/quota.ts'
import { TurnServer } from '../../../relay/turn/server.ts'
import { checkIndication } from '../../simulation/indications.ts'
import { Random } from '../../simulation/random.ts'
import { ReferenceModel } from '../../simulation/reference-model.ts'
import { address, EPOCH_SECONDS } from '../../support/turn-harness.ts'
import { ClientMemory } from './client-memory.ts'
import { FuzzedOffload } from './fuzzed-offload.ts'
import { checkCounters, checkLimits } from './machine-counters.ts'
import { checkOutside, key, withRooms } from './machine-packets.ts'
import { checkMeeting } from './machine-rules.ts'
import {
  CLIENTS,
  type FuzzedClient,
  fuzzedConfig,
  isReachable,
  LIMITS,
  LINKS,
  RELAY_PORTS,
  type Settings,
  settingsOf,
} from './machine-settings.ts'
import { TcpPeers } from './machine-tcp-peers.ts'

/** A TURN server in virtual time; after every step what it said is compared with what a server may say. */
export class MachineWorld {
  now = 1000
  /** What the system answers to a bind; `later` leaves it open. */
  onBind: 'bound' | 'later' | BindFailure = 'bound'
  readonly clients: readonly FuzzedClient[]
  readonly bound = new Map<number, TransportAddress>()
  readonly binding = new Map<number, TransportAddress>()
  readonly server: TurnServer
  /** STUN messages that clients were sent. */
  readonly said: Uint8Array[] = []
  /** How much it held after some step, and what it answered when it held how many allocations. */
  readonly states = new Set<string>()
  lastRequest = new Uint8Array(0)
  readonly memory = new ClientMemory()
  readonly #model = new ReferenceModel()
  readonly #quota = new LocalQuota()
  readonly #offload = new FuzzedOffload()
  readonly #ports = { 4: new Uint8Array(65_536), 6: new Uint8Array(65_536) }
  readonly #perUser = new Map<string, number>()
  readonly #reader = new StunReader()
  readonly #links = new Set<number>()
  readonly #failed = new Set<number>()
  readonly tcpPeers = new TcpPeers()
  /** Streams that the server ends. */
  #closing: number[] = []
  #settings: Settings = settingsOf(0)
  #denied: readonly string[] = []
  readonly #heard = { answers: 0, live: 0 }

  constructor() {
    const random = new Random(1)
    this.server = new TurnServer({
      config: fuzzedConfig(this.#settings, []),
      crypto: { ...nodeCrypto, randomBytes: (length) => random.bytes(length) },
      quota: this.#quota,
      tcpPeers: true,
      offload: this.#offload,
      portMap: ({ advertise }) => this.#ports[advertise.family],
    })
    this.server.setWallClockOffset(EPOCH_SECONDS * 1000)
    for (const { id } of LINKS) this.openLink(id)
    this.clients = CLIENTS.map((client) => ({ ...client, nonce: undefined }))
  }

  openLink(id: number): void {
    const link = LINKS.find((one) => one.id === id)
    if (!link || this.#links.has(id)) return
    this.#links.add(id)
    const { transport, local, remote } = link
    this.server.addLink({
      id,
      transport,
      local: address(local),
      remote: remote === undefined ? undefined : address(remote),
    })
  }

  closeLink(id: number): void {
    this.#links.delete(id)
    const peer = this.tcpPeers.ofLink(id)
    this.step(() => this.server.removeLink(id, this.now))
    assert.ok(peer === undefined || !this.tcpPeers.ids.includes(peer), 'half of a splice goes on')
    this.#model.unlinked(id)
  }

  /** From now on the policy denies these addresses beside the built-in ones. */
  deny(ips: readonly string[]): void {
    this.#model.denied.clear()
    for (const ip of ips) this.#model.deny(ip)
    this.#denied = ips
    this.#reconfigure()
  }

  /** The operator turns features on and off, a bit each. */
  configure(bits: number): void {
    this.#settings = settingsOf(bits)
    this.#reconfigure()
  }

  fromClient(client: FuzzedClient, bytes: Uint8Array): void {
    const spliced = this.tcpPeers.ofLink(client.link)
    if (spliced !== undefined) {
      this.step(() => void this.server.handleSplicedData(spliced, 'client', bytes.length, this.now))
      return
    }
    const name = key(client.link, client.from)
    this.#model.arrived(name, bytes)
    const { buffer, before } = withRooms(bytes)
    this.step(() => {
      const { link, from } = client
      const forward = this.server.handleClientData(
        link,
        from,
        buffer,
        HEAD_ROOM_BYTES,
        bytes.length,
        this.now,
      )
      if (forward) {
        this.#model.sentFrom(name)
        this.#checkFromClient(name, forward, bytes.length)
      }
      if (forward?.target === 'client') this.#noteSaid(forward, buffer)
    })
    checkOutside(buffer, before, bytes.length)
  }

  fromPeer(relay: number, peer: TransportAddress, bytes: Uint8Array): void {
    const { buffer, before } = withRooms(bytes)
    this.step(() => {
      const forward = this.server.handlePeerData(relay, peer, buffer, HEAD_ROOM_BYTES, bytes.length, this.now)
      if (!forward) return
      this.#checkToClient(forward, peer, bytes.length)
      this.#noteSaid(forward, buffer)
    })
    checkOutside(buffer, before, bytes.length)
  }

  /** The system takes a socket away, bound or not. */
  fail(relay: number, failure: BindFailure): void {
    this.bound.delete(relay)
    this.binding.delete(relay)
    this.#failed.add(relay)
    this.step(() => this.server.relayBindFailed(relay, failure, this.now))
  }

  /** The system answers the oldest bind that is open. */
  answerBind(): void {
    const [first] = this.binding
    if (first) this.#answerBind(first[0], first[1])
  }

  pass(seconds: number): void {
    const end = this.now + seconds * 1000
    while (this.server.pollTimeout() <= end) {
      this.now = Math.max(this.now, this.server.pollTimeout())
      this.step(() => this.server.handleTimeout(this.now))
      assert.ok(this.server.pollTimeout() > this.now, 'a timeout that was handled is due again')
    }
    this.now = end
    checkCounters(this.server, this.#heard)
  }

  /** One call into the server, then all that it has to say. */
  step(call: () => void): void {
    call()
    for (let output = this.server.nextOutput(); output; output = this.server.nextOutput()) this.#play(output)
    for (let link = this.#closing.pop(); link !== undefined; link = this.#closing.pop()) this.closeLink(link)
    this.#offload.check(this.#model, this.now)
    this.states.add(checkLimits(this.server, this.bound.size, this.binding.size))
  }

  /** Nothing may be left when every lifetime has passed. */
  checkEmpty(): void {
    const { allocationCount, permissionCount, channelCount, reservationCount } = this.server
    const left = [allocationCount, permissionCount, channelCount, reservationCount]
    assert.deepEqual(left, [0, 0, 0, 0], 'state leaked')
    assert.equal(this.bound.size + this.binding.size, 0, 'sockets leaked')
    assert.deepEqual([this.server.peerConnectionCount, this.tcpPeers.ids], [0, []], 'connections leaked')
    assert.equal(this.#offload.size, 0, 'routes of the kernel leaked')
    assert.equal(this.#quota.total, 0, 'quota leaked')
    assert.ok(this.#ports[4].indexOf(1) < 0 && this.#ports[6].indexOf(1) < 0, 'ports leaked')
    assert.equal(this.server.pollTimeout(), Number.POSITIVE_INFINITY, 'a timer leaked')
    checkCounters(this.server, this.#heard)
  }

  #noteSaid({ offset, length }: Forward, buffer: Uint8Array): void {
    if (buffer[offset]! < 0x40) this.said.push(buffer.slice(offset, offset + length))
  }

  #play(output: Output): void {
    if (output.kind === 'transmit') this.#answered(output)
    else if (output.kind === 'bind-relay') this.#bind(output.relay, output.bind)
    else if (output.kind === 'close-relay') {
      const open = this.bound.delete(output.relay) || this.binding.delete(output.relay)
      assert.ok(open || this.#failed.has(output.relay), 'closed twice')
    } else if (output.kind === 'connect-peer') this.tcpPeers.connect(output, this.bound)
    else if (output.kind === 'splice') this.tcpPeers.splice(output, this.#links)
    else if (output.kind === 'close-peer') this.tcpPeers.end(output.connection)
    else if (output.kind === 'close-link') this.#closing.push(output.link)
    else if (output.kind === 'allocation-opened') {
      this.#heard.live++
      const held = (this.#perUser.get(output.allocation.username) ?? 0) + 1
      this.#perUser.set(output.allocation.username, held)
      assert.ok(held <= LIMITS.allocationsPerUser, 'a user holds more than the quota')
    } else if (output.kind === 'allocation-closed') {
      this.#heard.live--
      const { username, link, client } = output.allocation
      this.#perUser.set(username, this.#perUser.get(username)! - 1)
      this.#model.closed(key(link, client))
    }
  }

  #answered({ link, to, bytes }: Extract<Output, { kind: 'transmit' }>): void {
    this.said.push(bytes)
    assert.ok(to.port !== 0 && formatIp(to) !== '224.0.0.1', 'an answer to an address that cannot have asked')
    assert.ok(this.#links.has(link), 'an answer by a link that is gone')
    const reader = this.#reader
    assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
    if (reader.messageClass === CLASS.Indication) {
      checkIndication(this.#model, reader, key(link, to), this.now)
      return
    }
    this.#heard.answers++
    assert.ok(reader.messageClass === CLASS.Success || reader.messageClass === CLASS.Error)
    this.#model.answered(key(link, to), bytes, this.now)
    const code = reader.find(ATTRIBUTE.ErrorCode)
    const answer = code < 0 ? 'success' : readErrorCode(reader, code)?.code
    this.states.add(`${reader.method} ${answer} ${this.server.allocationCount}`)
    const client = this.clients.find((one) => one.link === link && one.from.equals(to))
    const nonce = reader.find(ATTRIBUTE.Nonce)
    if (client && nonce >= 0) client.nonce = readText(reader, nonce, 763)
    this.memory.learn(reader)
  }

  #bind(relay: number, bind: TransportAddress): void {
    for (const other of [...this.bound.values(), ...this.binding.values()]) {
      assert.ok(!other.equals(bind), 'a port that is in use was handed out')
    }
    assert.ok(bind.port >= RELAY_PORTS.min && bind.port <= RELAY_PORTS.max, 'a port outside the range')
    this.binding.set(relay, bind)
    if (this.onBind !== 'later') this.#answerBind(relay, bind)
  }

  #answerBind(relay: number, bind: TransportAddress): void {
    const answer = this.onBind
    this.binding.delete(relay)
    if (answer === 'bound' || answer === 'later') {
      this.bound.set(relay, bind)
      this.step(() => this.server.relayBound(relay, this.now))
    } else this.fail(relay, answer)
  }

  #checkFromClient(client: string, { target, socket, to, length }: Forward, came: number): void {
    if (target === 'client') {
      checkMeeting(this.#model, client, key(socket, to), this.now)
      return
    }
    assert.ok(this.bound.has(socket), 'data left by a socket that is not bound')
    assert.ok(length <= came, 'more goes to a peer than the client sent')
    assert.ok(isReachable(formatIp(to), to.port), `${formatAddress(to)} is no peer`)
    assert.ok(this.#model.permits(client, to, this.now), `${formatAddress(to)} without a permission`)
  }

  #checkToClient({ target, socket, to, length }: Forward, peer: TransportAddress, came: number): void {
    assert.equal(target, 'client')
    assert.ok(this.#links.has(socket), 'data for a link that is gone')
    assert.ok(length <= came + HEAD_ROOM_BYTES + TAIL_ROOM_BYTES, 'more than a header was added')
    assert.ok(
      this.#model.permits(key(socket, to), peer, this.now),
      `${formatAddress(peer)} without a permission`,
    )
  }

  #reconfigure(): void {
    this.step(() => this.server.updateConfig(fuzzedConfig(this.#settings, this.#denied)))
  }
}
