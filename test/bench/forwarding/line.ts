import { execFileSync } from 'node:child_process'
import { KernelIo } from '../../../relay/io/linux/kernel/kernel-io.ts'
import { Memory } from '../../../relay/io/linux/memory.ts'
import { SEND_MEMORY_BYTES, SendQueue } from '../../../relay/io/linux/send-queue.ts'
import { enterNamespace } from '../../../relay/io/linux/testing/network-namespace.ts'
import { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { writeChannelHeader } from '../../../relay/stun/channel-data.ts'
import { ADDRESS, Namespaces, type Place } from '../../interop/kernel/namespaces.ts'
import { Call, payload, RelayWorld } from '../../interop/kernel/world.ts'

const CHANNEL = 0x4001
const ALLOCATIONS = 16
/** Datagrams that leave by one system call. */
const BATCH = 32
/** In force, as they cost something, and never reached. */
const LIMITS = {
  bytesPerSecondPerAllocation: 10_000_000_000,
  packetsPerSecondPerAllocation: 10_000_000,
}

export type Framing = 'channel' | 'indication'
export type Direction = 'up' | 'down'

/** A client, a relay on the kernel path and a peer in a line, all of it on the core of this thread. */
export class Line {
  readonly #namespaces = new Namespaces()
  readonly #queue = new SendQueue(new Memory(SEND_MEMORY_BYTES + 65_536), { sendErrors: 0 })
  readonly #world: RelayWorld
  readonly #calls = new Map<Framing, Call>()

  /** This thread is in the relay's namespace from then on. */
  constructor() {
    this.#namespaces.setChecksumOffload(false)
    for (const end of ['client', 'peer'] as const)
      this.#namespaces.ip(end, 'link', 'set', 'veth', 'gso_max_segs', '1')
    enterNamespace(this.#namespaces.relayName)
    this.#world = new RelayWorld(KernelIo.open(ALLOCATIONS), { limits: LIMITS })
  }

  async start(): Promise<void> {
    await this.#world.start(ADDRESS.listener)
    for (const framing of ['channel', 'indication'] as const) {
      const channel = framing === 'channel' ? CHANNEL : undefined
      const call = await Call.open(this.#namespaces, this.#world.ports, { channel })
      await call.toPeer(payload(100), channel)
      this.#calls.set(framing, call)
    }
    for (const end of ['client', 'peer'] as const) this.#dropAt(end, 'veth')
  }

  /** Nothing is forwarded any more: what arrives at the relay ends there. */
  cut(): void {
    this.#world.io.offload?.tick(performance.now() - 3_600_000)
    for (const end of ['client', 'peer'] as const) this.#dropAt('relay', end)
  }

  /** Sends so many packets; nanoseconds for each, and how many came to the other end. */
  send(framing: Framing, direction: Direction, bytes: number, count: number): [number, number] {
    const call = this.#calls.get(framing)!
    const up = direction === 'up'
    const socket = up ? call.client : call.peer
    const from = new UdpSocket(this.#namespaces.descriptor(socket), call.peerAddress, false)
    const to = up
      ? parseAddress(ADDRESS.listener[4], this.#world.ports[4])!
      : parseAddress(ADDRESS.relay[4], call.relayed!.port)!
    const data = up ? frame(call, framing, bytes) : payload(bytes)
    const end = up ? 'peer' : 'client'
    const before = this.#arrivedAt(end)
    const start = performance.now()
    for (let i = 1; i <= count; i++) {
      this.#queue.push(from, to, data, 0, data.length)
      if (i % BATCH === 0) this.#queue.flush()
    }
    this.#queue.flush()
    const nanoseconds = ((performance.now() - start) * 1e6) / count
    return [nanoseconds, this.#arrivedAt(end) - before]
  }

  /** That the relay lives. */
  tick(): void {
    this.#world.tick()
  }

  async remove(): Promise<void> {
    await this.#world.stop()
    this.#namespaces.remove()
  }

  #dropAt(place: Place, device: string): void {
    this.#run(place, 'nft', `add table netdev ${device}`)
    const hook = `{ type filter hook ingress device ${device} priority 0; policy drop; }`
    this.#run(place, 'nft', `add chain netdev ${device} drops ${hook}`)
  }

  #arrivedAt(place: Place): number {
    const [link] = JSON.parse(this.#run(place, 'ip', '-s', '-j', 'link', 'show', 'veth')) as {
      stats64: { rx: { packets: number } }
    }[]
    return link!.stats64.rx.packets
  }

  #run(place: Place, ...command: string[]): string {
    const [program, ...args] = this.#namespaces.at(place, ...command)
    return execFileSync(program!, args, { encoding: 'utf8' })
  }
}

function frame(call: Call, framing: Framing, bytes: number): Uint8Array {
  if (framing === 'indication') return call.indication(payload(bytes), 'peer-first').slice()
  const data = new Uint8Array(4 + bytes)
  writeChannelHeader(data, 0, CHANNEL, bytes)
  data.set(payload(bytes), 4)
  return data
}
