import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { RouteChanges } from '../../relay/io/linux/kernel/route-changes.ts'
import { Memory } from '../../relay/io/linux/memory.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from '../../relay/io/linux/receive-ring.ts'
import { SEND_MEMORY_BYTES, SendQueue } from '../../relay/io/linux/send-queue.ts'
import { inNamespace } from '../../relay/io/linux/testing/network-namespace.ts'
import { UdpSocket } from '../../relay/io/linux/udp-socket.ts'
import { relayedClass } from '../../relay/io/traffic-class.ts'
import type { AddressFamily, TransportAddress } from '../../relay/stun/address.ts'
import { parseAddress } from '../../relay/stun/address-text.ts'
import { writeChannelHeader } from '../../relay/stun/channel-data.ts'
import { ADDRESS, Namespaces, whyNot } from './kernel/namespaces.ts'
import { Call, payload, type RelayWorld, startWorld } from './kernel/world.ts'

const CHANNEL = 0x4001
const EF = 46 << 2
const CS6 = 48 << 2
const CLASSES = [0, 1, 2, 3, EF, EF | 3, CS6, CS6 | 2, 255]

const WAIT_MS = 1_000

const skip = whyNot() ?? false

describe('what surrounds the kernel path', { skip }, () => {
  const memory = new Memory(RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + 65_536)
  const queue = new SendQueue(memory, { sendErrors: 0 })
  const ring = new ReceiveRing(memory)
  let namespaces: Namespaces
  let world: RelayWorld

  before(async () => {
    namespaces = new Namespaces()
    world = await startWorld(namespaces)
  })

  after(async () => {
    await world?.stop()
    namespaces?.remove()
  })

  /** The class that a datagram arrives with when it leaves with another. */
  function passed(
    from: number,
    to: TransportAddress,
    data: Uint8Array,
    trafficClass: number,
    at: number,
  ): number {
    queue.push(new UdpSocket(from, to, false), to, data, 0, data.length, trafficClass)
    queue.flush()
    for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
      ring.receive(at)
      if (ring.next()) return ring.trafficClass
    }
    throw new Error('nothing has arrived')
  }

  it('hears of changes of links and routes, once', () => {
    const changes = inNamespace(namespaces.relayName, () => new RouteChanges(memory))
    try {
      assert.equal(changes.look(), false)
      namespaces.ip('relay', 'route', 'add', '198.51.100.0/24', 'via', ADDRESS.peer[4])
      assert.equal(changes.look(), true)
      assert.equal(changes.look(), false)
      namespaces.ip('relay', 'link', 'set', 'peer', 'mtu', '1400')
      assert.equal(changes.look(), true)
      namespaces.ip('relay', 'route', 'del', '198.51.100.0/24')
      namespaces.ip('relay', 'link', 'set', 'peer', 'mtu', '1500')
    } finally {
      changes.close()
    }
  })

  for (const family of [4, 6] as const satisfies readonly AddressFamily[]) {
    for (const kept of [true, false]) {
      it(`keeps DSCP and ECN over IPv${family} as the sockets do, DSCP ${kept ? 'on' : 'off'} (RFC 8656 §14)`, async () => {
        world.io.keepDscp?.(kept)
        const options = { client: family, peer: family, channel: CHANNEL }
        const call = await Call.open(namespaces, world.ports, options)
        await call.toPeer(payload(100), CHANNEL)
        const before = world.throughMachine
        const [client, peer] = [call.client, call.peer].map((socket) => namespaces.descriptor(socket))
        const listener = parseAddress(ADDRESS.listener[family], world.ports[family])!
        const relay = parseAddress(ADDRESS.relay[family], call.relayed!.port)!
        const frame = new Uint8Array(104)
        writeChannelHeader(frame, 0, CHANNEL, 100)
        for (const sent of CLASSES) {
          const expected = relayedClass(sent, kept)
          assert.equal(passed(client!, listener, frame, sent, peer!), expected)
          assert.equal(passed(peer!, relay, payload(100), sent, client!), expected)
        }
        assert.equal(world.throughMachine, before)
        world.io.keepDscp?.(true)
      })
    }
  }
})
