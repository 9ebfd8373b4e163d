import assert from 'node:assert/strict'
import type dgram from 'node:dgram'
import { once } from 'node:events'
import { type RelayConfigInput, relayConfig } from '../../../relay/api/config.ts'
import type { ClientEvent } from '../../../relay/client/contract.ts'
import { TurnClient } from '../../../relay/client/turn-client.ts'
import type { RelayIo } from '../../../relay/io/io.ts'
import { KernelIo } from '../../../relay/io/linux/kernel/kernel-io.ts'
import { LinuxIo } from '../../../relay/io/linux/linux-io.ts'
import { enterNamespace } from '../../../relay/io/linux/testing/network-namespace.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { Shard, type ShardEvent } from '../../../relay/shard/shard.ts'
import type { AddressFamily, TransportAddress } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import { TurnServer } from '../../../relay/turn/server.ts'
import { turnServerConfig } from '../../../relay/turn/server-config.ts'
import { ADDRESS, type Namespaces } from './namespaces.ts'

const USER = { username: 'alice', password: 'secret' }
const WAIT_MS = 3_000
/** Longer than a packet takes from one namespace to the next. */
const QUIET_MS = 150
/** Entries of the maps, unless a test wants fewer. */
const ALLOCATIONS = 100

/** Of the UDP listener in `CONFIG`. */
export const PORT = 3478

/** The configuration of the relay between the namespaces. */
export const CONFIG: RelayConfigInput = {
  realm: 'example.org',
  listeners: [{ protocol: 'udp', address: ADDRESS.listener[4], port: PORT }],
  relay: { addresses: [{ advertise: ADDRESS.relay[4] }, { advertise: ADDRESS.relay[6] }] },
  credentials: { users: [USER] },
  peers: { allow: [ADDRESS.peer[4], ADDRESS.peer[6]] },
}

/** The same with all defaults, some of it replaced. */
export function configOf(changes: Partial<RelayConfigInput> = {}) {
  return relayConfig.parse({ ...CONFIG, ...changes })
}

/** A relay in this process, whose thread is in the relay's namespace. */
export class RelayWorld {
  readonly events: ShardEvent[] = []
  readonly machine: TurnServer
  readonly shard: Shard
  readonly ports: Record<AddressFamily, number> = { 4: 0, 6: 0 }
  readonly io: RelayIo

  constructor(io: RelayIo, config: Partial<RelayConfigInput> = {}) {
    this.io = io
    const { offload } = io
    const open = offload?.openPermission.bind(offload)
    if (offload && open) {
      offload.openPermission = (...options) => {
        this.lastPermission = open(...options)
        return this.lastPermission
      }
    }
    this.machine = new TurnServer({
      config: turnServerConfig(configOf(config)),
      crypto: nodeCrypto,
      dontFragment: true,
      offload: io.offload,
    })
    this.shard = new Shard({
      io,
      machine: this.machine,
      unixMs: Date.now,
      onEvent: (event) => this.events.push(event),
    })
  }

  async start(listeners: Record<AddressFamily, string>): Promise<this> {
    this.shard.start()
    for (const family of [4, 6] as const) {
      const bound = await this.io.listen({ protocol: 'udp', address: listeners[family], port: 0 })
      this.ports[family] = bound.port
    }
    return this
  }

  /** Packets that came in through the sockets, of clients and of peers. */
  get throughMachine(): number {
    return this.shard.traffic.udp.packetsIn + this.shard.traffic.peer.packetsIn
  }

  tick(): void {
    this.machine.tickOffload(this.io.now())
  }

  /** The handle of the permission that was handed down last. */
  lastPermission = -1

  async stop(): Promise<void> {
    this.machine.closeAll('shutdown', this.io.now())
    this.shard.batchEnd()
    await this.io.close()
  }
}

/** So many bytes, others for each length. */
export function payload(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => i * 31 + size)
}

/** A client with an allocation, and a peer. */
export class Call {
  readonly client: dgram.Socket
  readonly peer: dgram.Socket
  readonly turn: TurnClient
  readonly peerAddress: TransportAddress
  relayed: TransportAddress | undefined
  readonly #server: { port: number; address: string }

  private constructor(
    client: dgram.Socket,
    peer: dgram.Socket,
    server: { port: number; address: string },
    peerFamily: AddressFamily,
  ) {
    this.client = client
    this.peer = peer
    this.#server = server
    this.turn = new TurnClient({ transport: 'udp', ...USER, crypto: nodeCrypto })
    this.peerAddress = parseAddress(ADDRESS.peer[peerFamily], peer.address().port)!
  }

  static async open(
    namespaces: Namespaces,
    ports: Record<AddressFamily, number>,
    {
      client = 4,
      peer = 4,
      channel,
      from = 0,
    }: {
      client?: AddressFamily
      peer?: AddressFamily
      channel?: number | undefined
      /** The peer's port; absent: one that the system chooses. */
      from?: number
    },
  ): Promise<Call> {
    const server = { port: ports[client], address: ADDRESS.listener[client] }
    const sockets = [namespaces.socket('client', client), namespaces.socket('peer', peer, from)] as const
    const call = new Call(...sockets, server, peer)
    call.turn.allocate(performance.now(), { family: peer })
    const { relayed } = await call.until('allocated')
    call.relayed = relayed[0]
    if (channel === undefined) {
      call.turn.createPermission(performance.now(), [call.peerAddress])
      await call.until('permitted')
    } else {
      call.turn.bindChannel(performance.now(), channel, call.peerAddress)
      await call.until('bound')
    }
    return call
  }

  /** Sends what the client has to send. */
  flush(): void {
    for (let bytes = this.turn.nextTransmit(); bytes; bytes = this.turn.nextTransmit()) {
      this.client.send(bytes, this.#server.port, this.#server.address)
    }
  }

  /** The client's next event of a kind. */
  async until<K extends ClientEvent['kind']>(kind: K): Promise<Extract<ClientEvent, { kind: K }>> {
    this.flush()
    for (;;) {
      for (let event = this.turn.nextEvent(); event; event = this.turn.nextEvent()) {
        if (event.kind === kind) return event as Extract<ClientEvent, { kind: K }>
        if (event.kind === 'failed')
          throw new Error(`${event.step}: ${event.cause} ${event.code} ${event.reason}`)
      }
      const message = await datagram(this.client)
      this.turn.handleData(message, 0, message.length, performance.now())
      this.flush()
    }
  }

  sendToPeer(data: Uint8Array, channel?: number): void {
    if (channel === undefined) this.turn.sendIndication(this.peerAddress, data)
    else this.turn.sendChannel(channel, data)
    this.flush()
  }

  /** What the peer hears when the client sends. */
  async toPeer(data: Uint8Array, channel?: number): Promise<Buffer> {
    const heard = datagram(this.peer)
    this.sendToPeer(data, channel)
    return heard
  }

  /** A Send indication that a client of another make might write. */
  indication(
    data: Uint8Array,
    how: 'peer-first' | 'data-first' | 'software-between' | 'fingerprint' | 'dont-fragment',
  ): Uint8Array {
    const writer = new StunWriter(2048).start(METHOD.Send, CLASS.Indication, nodeCrypto.randomBytes(12))
    const addPeer = () => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, this.peerAddress)
    if (how === 'dont-fragment') writer.addFlag(ATTRIBUTE.DontFragment)
    if (how !== 'data-first') addPeer()
    if (how === 'software-between') writer.addText(ATTRIBUTE.Software, 'a client')
    writer.addBytes(ATTRIBUTE.Data, data)
    if (how === 'data-first') addPeer()
    return writer.finish({ fingerprint: how === 'fingerprint' })
  }

  sendRaw(bytes: Uint8Array): void {
    this.client.send(bytes, this.#server.port, this.#server.address)
  }

  sendToClient(data: Uint8Array): void {
    const to = this.relayed!
    this.peer.send(data, to.port, ADDRESS.relay[to.family])
  }

  /** What the client hears when the peer sends: the whole datagram. */
  async toClient(data: Uint8Array): Promise<Buffer> {
    const heard = datagram(this.client)
    this.sendToClient(data)
    return heard
  }

  /** Whether a datagram at the client is this, by the channel or as a Data indication. */
  heard(message: Buffer, channel: number | undefined, data: Uint8Array): void {
    assert.equal(message[0]! >> 6, channel === undefined ? 0 : 1)
    this.turn.handleData(message, 0, message.length, performance.now())
    const event = this.turn.nextEvent()
    assert.ok(event?.kind === 'data' && event.peer.equals(this.peerAddress))
    assert.deepEqual(Buffer.from(event.data), Buffer.from(data))
  }

  /** Until all that was sent is where it goes to. */
  async settled(quietMs = QUIET_MS): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, quietMs))
  }
}

/** A relay; this thread is in the relay's namespace from then on. */
export async function startWorld(
  namespaces: Namespaces,
  io: 'batched' | { readonly allocations?: number; readonly unspecified?: boolean } = {},
): Promise<RelayWorld> {
  enterNamespace(namespaces.relayName)
  if (io === 'batched') return new RelayWorld(new LinuxIo()).start(ADDRESS.listener)
  const kernel = KernelIo.open(io.allocations ?? ALLOCATIONS)
  if (!io.unspecified) return new RelayWorld(kernel).start(ADDRESS.listener)
  const addresses = [
    { advertise: ADDRESS.relay[4], bind: '0.0.0.0' },
    { advertise: ADDRESS.relay[6], bind: '::' },
  ]
  return new RelayWorld(kernel, { relay: { addresses } }).start({ 4: '0.0.0.0', 6: '::' })
}

/** Does something of which a socket must not hear. */
export async function quiet(socket: dgram.Socket, work: () => void): Promise<void> {
  let heard = 0
  const count = () => heard++
  socket.on('message', count)
  work()
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
  socket.off('message', count)
  assert.equal(heard, 0)
}

/** The next datagram; rejects when none comes. */
export async function datagram(socket: dgram.Socket): Promise<Buffer> {
  const [message] = (await once(socket, 'message', { signal: AbortSignal.timeout(WAIT_MS) })) as [Buffer]
  return message
}
