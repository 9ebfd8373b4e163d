import { withOffloaded } from '../../../relay/shard/traffic.ts'
import { formatAddress } from '../../../relay/stun/address-text.ts'
import { Random } from '../../simulation/random.ts'
import type { Namespaces } from './namespaces.ts'
import { Call, type RelayWorld } from './world.ts'

const PACKETS = 125
const BOUND = 0x4001
const UNBOUND = 0x4002
/** Longest payload: with headers more than one packet holds. */
const BYTES_MAX = 1600

/** What came of packets of all kinds: at the peers, at the clients, and in the relay's books. */
export interface Transcript {
  readonly peerHeard: readonly string[]
  readonly clientHeard: readonly string[]
  readonly totals: unknown
  readonly traffic: unknown
  readonly throughMachine: number
}

/** Eight calls, one after the other, of packets that a fixed seed chooses. */
export async function transcript(world: RelayWorld, namespaces: Namespaces): Promise<Transcript> {
  const random = new Random(1)
  const before = { ...world.machine.counters }
  const trafficBefore = trafficOf(world)
  const throughBefore = world.throughMachine
  const peerHeard: string[] = []
  const clientHeard: string[] = []
  for (const client of [4, 6] as const) {
    for (const peer of [4, 6] as const) {
      for (const channel of [undefined, BOUND]) {
        const call = await Call.open(namespaces, world.ports, { client, peer, channel })
        call.peer.on('message', (data) => peerHeard.push(data.toString('hex')))
        call.client.on('message', (data) => clientHeard.push(heardBy(call, data)))
        for (let i = 0; i < PACKETS; i++) {
          sendAny(call, channel, random)
          // The relay's sockets hold only so much.
          if (i % 10 === 0) await call.settled(2)
        }
        await call.settled(20)
      }
    }
  }
  world.tick()
  const { clientPackets, clientBytes, peerPackets, peerBytes, drops } = world.machine.counters
  return {
    peerHeard: peerHeard.sort(),
    clientHeard: clientHeard.sort(),
    totals: {
      clientPackets: clientPackets - before.clientPackets,
      clientBytes: clientBytes - before.clientBytes,
      peerPackets: peerPackets - before.peerPackets,
      peerBytes: peerBytes - before.peerBytes,
      rateDrops: drops['rate-limit'],
    },
    traffic: trafficOf(world).map((count, i) => count - trafficBefore[i]!),
    throughMachine: world.throughMachine - throughBefore,
  }
}

function sendAny(call: Call, channel: number | undefined, random: Random): void {
  const data = Uint8Array.from({ length: random.below(BYTES_MAX) }, () => random.below(256))
  const kind = random.below(10)
  if (kind < 4) call.sendToClient(data)
  else if (kind < 6) call.sendToPeer(data, channel)
  else if (kind < 8) call.sendToPeer(data)
  else if (kind === 8) call.sendRaw(call.indication(data, 'data-first'))
  else call.turn.sendChannel(UNBOUND, data)
  call.flush()
}

/** By the channel or as an indication, from whom, and what; the sender's port, which the system chose, left out. */
function heardBy(call: Call, message: Buffer): string {
  call.turn.handleData(message, 0, message.length, performance.now())
  const event = call.turn.nextEvent()
  if (event?.kind !== 'data') return 'answer'
  const ip = formatAddress(event.peer).replace(/:\d+$/, '')
  return `${message[0]! >> 6} ${ip} ${Buffer.from(event.data).toString('hex')}`
}

function trafficOf(world: RelayWorld): number[] {
  const { udp, peer } = withOffloaded(world.shard.traffic, world.machine.offloaded)
  return [...Object.values(udp), ...Object.values(peer)]
}
