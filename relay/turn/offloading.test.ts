import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeOffload } from '../../test/support/fake-offload.ts'
import { address, relayConfigFor, TurnHarness } from '../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { StunReader } from '../stun/reader.ts'
import { turnServerConfig } from './server-config.ts'

const FROM = '198.51.100.7:4000'
const PEER = '9.9.9.9:5000'
const OTHER_PORT = '9.9.9.9:5002'
const CHANNEL = 0x4000

function setUp(input: ConstructorParameters<typeof TurnHarness>[0] = {}) {
  const offload = new FakeOffload()
  const harness = new TurnHarness(input, { offload })
  const client = harness.client(FROM)
  const relayed = client.allocate()!.relayed![0]!
  const sizes = () => [offload.allocations.size, offload.permissions.size, offload.channels.size]
  return { offload, harness, client, relayed, sizes }
}

test('a permission is handed down with the first packet that passes under it, and no sooner', () => {
  const { offload, harness, client, relayed, sizes } = setUp()
  client.permit(PEER, '9.9.9.10:1')
  assert.deepEqual(sizes(), [0, 0, 0])
  client.send(PEER, 'first')
  assert.deepEqual(sizes(), [1, 1, 0])
  assert.ok(offload.passes(FROM, address(OTHER_PORT), harness.now))
  assert.ok(!offload.passes(FROM, address('9.9.9.9:80'), harness.now))
  harness.fromPeer(relayed, '9.9.9.10:7000', 'the peer speaks first')
  assert.deepEqual(sizes(), [1, 2, 0])
})

test('channels go with their permission, also those that are bound later', () => {
  const { offload, harness, client, sizes } = setUp()
  client.bind(CHANNEL, PEER)
  client.channelData(CHANNEL, 'first')
  assert.deepEqual(sizes(), [1, 1, 1])
  client.bind(CHANNEL + 1, OTHER_PORT)
  assert.equal(offload.channelData(FROM, CHANNEL, harness.now), PEER)
  assert.equal(offload.channelData(FROM, CHANNEL + 1, harness.now), OTHER_PORT)
})

test('ends follow the machine: refreshed with it, held by time without it', () => {
  const { offload, harness, client } = setUp()
  client.permit(PEER)
  client.send(PEER, 'first')
  const end = harness.now + 300_000
  assert.ok(offload.passes(FROM, address(PEER), end - 1))
  assert.ok(!offload.passes(FROM, address(PEER), end))
  harness.now += 100_000
  client.permit(PEER)
  assert.ok(offload.passes(FROM, address(PEER), end + 99_999))
  // Five minutes more, and the allocation ends before the permission does.
  harness.now += 400_000
  client.permit(PEER)
  const allocationEnd = end + 330_000
  assert.ok(offload.passes(FROM, address(PEER), allocationEnd - 1))
  assert.ok(!offload.passes(FROM, address(PEER), allocationEnd))
  client.refresh()
  assert.ok(offload.passes(FROM, address(PEER), harness.now + 299_999))
})

test('what expires is taken back, and what ends leaves nothing', () => {
  const { harness, client, sizes } = setUp()
  client.bind(CHANNEL, PEER)
  client.channelData(CHANNEL, 'first')
  harness.pass(590)
  client.refresh()
  harness.pass(20)
  assert.deepEqual(sizes(), [1, 0, 0])
  client.permit(PEER)
  client.send(PEER, 'again')
  assert.deepEqual(sizes(), [1, 1, 0])
  client.refresh(0)
  assert.deepEqual(sizes(), [0, 0, 0])
})

test('revoked, closed with its link, and forbidden by a new policy: gone at once', () => {
  for (const end of ['revoke', 'link', 'policy'] as const) {
    const { harness, client, sizes } = setUp()
    client.bind(CHANNEL, PEER)
    client.channelData(CHANNEL, 'first')
    if (end === 'revoke') harness.server.closeAll('revoked', harness.now)
    if (end === 'link') harness.server.removeLink(1, harness.now)
    if (end === 'policy') {
      const config = relayConfigFor({ peers: { deny: ['9.9.9.0/24'] } })
      harness.server.updateConfig(turnServerConfig(config))
    }
    assert.deepEqual(sizes().slice(1), [0, 0], end)
  }
})

test('a peer that becomes this relay itself is taken back with its channels, and what is on it goes on above', () => {
  const { harness, client, sizes } = setUp()
  client.bind(CHANNEL, PEER)
  client.channelData(CHANNEL, 'first')
  const peers = { allow: ['9.9.9.9'] }
  harness.server.updateConfig(turnServerConfig(relayConfigFor({ peers }), { own: ['9.9.9.9'] }))
  assert.deepEqual(sizes().slice(1), [0, 0])
  assert.ok(client.channelData(CHANNEL, 'still there'))
  assert.deepEqual(sizes().slice(1), [0, 0])
})

test('live allocations of this relay, streams and clients behind a balancer stay with the machine', () => {
  const { harness, client, relayed, sizes } = setUp()
  client.permit(relayed)
  client.send(relayed, 'to myself')
  assert.deepEqual(sizes(), [0, 0, 0])
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.8:4000')
  const { server } = harness
  const udp = { transport: 'udp', local: address('192.0.2.1:3479'), remote: undefined } as const
  server.addLink({ id: 3, ...udp, proxied: true })
  for (const link of [2, 3]) {
    const other = harness.client('198.51.100.8:4000', link)
    other.allocate()
    other.permit(PEER)
    assert.ok(other.send(PEER, 'data'))
  }
  assert.deepEqual(sizes(), [0, 0, 0])
})

test('what there is no room for goes through the machine, and is tried again when it is refreshed', () => {
  const { offload, client, sizes } = setUp()
  offload.room = 0
  client.permit(PEER)
  assert.ok(client.send(PEER, 'first'))
  offload.room = 1
  assert.ok(client.send(PEER, 'second'))
  assert.deepEqual(sizes(), [1, 0, 0])
  client.permit(PEER)
  client.send(PEER, 'third')
  assert.deepEqual(sizes(), [1, 1, 0])
})

test('counts from below are those of the allocation, the machine and the traffic', () => {
  const { offload, harness, client } = setUp()
  client.bind(CHANNEL, PEER)
  client.channelData(CHANNEL, '12345')
  const [open] = offload.allocations.values()
  const below = {
    clientPackets: 3,
    clientBytes: 300,
    clientFrameBytes: 312,
    peerPackets: 2,
    peerBytes: 200,
    peerFrameBytes: 208,
    rateDrops: 7,
  }
  open!.data = { ...below }
  harness.server.tickOffload(harness.now)
  assert.equal(harness.server.counters.clientBytes, 305)
  assert.equal(harness.server.counters.drops['rate-limit'], 7)
  assert.deepEqual(harness.server.offloaded, below)
  open!.data = { ...below }
  client.refresh(0)
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.ok(closed?.kind === 'allocation-closed')
  const { clientPackets, clientBytes, peerPackets, peerBytes } = closed
  assert.deepEqual([clientPackets, clientBytes, peerPackets, peerBytes], [7, 605, 4, 400])
})

test('packets that go through the machine draw from the same rates', () => {
  const { offload, harness, client } = setUp()
  client.permit(PEER)
  client.send(PEER, 'first')
  assert.equal(offload.charged, 1)
  offload.withinRate = false
  assert.equal(client.send(PEER, 'second'), undefined)
  assert.equal(harness.server.counters.drops['rate-limit'], 1)
})

test('what a mobile client has moved away from is taken back, and handed down anew from where it is', () => {
  const { offload, harness, client } = setUp({ mobility: true })
  const away = harness.client('198.51.100.9:4000')
  client.refresh(0)
  const success = client.allocate((writer) => void writer.addFlag(ATTRIBUTE.MobilityTicket))
  const reader = new StunReader()
  reader.read(success!.bytes, 0, success!.bytes.length)
  const ticket = reader.value(reader.find(ATTRIBUTE.MobilityTicket)).slice()
  client.permit(PEER)
  client.send(PEER, 'first')
  away.request(4, (writer) => void writer.addBytes(ATTRIBUTE.MobilityTicket, ticket))
  assert.ok(offload.passes(FROM, address(PEER), harness.now), 'until it is heard there')
  away.send(PEER, 'from there')
  assert.ok(!offload.passes(FROM, address(PEER), harness.now))
  assert.ok(offload.passes(away.from, address(PEER), harness.now))
})
