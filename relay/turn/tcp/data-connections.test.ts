import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TcpAllocation } from '../../../test/support/tcp-allocation.ts'
import { relayConfigFor } from '../../../test/support/turn-harness.ts'
import { METHOD } from '../../stun/methods.ts'
import { turnServerConfig } from '../server-config.ts'

const PEER = '8.8.8.8:5000'

/** A TCP allocation with a bound connection to PEER. */
function bound(input: ConstructorParameters<typeof TcpAllocation>[0] = {}) {
  const tcp = new TcpAllocation(input)
  tcp.connect(PEER)
  const id = tcp.accept()!.connection!
  const data = tcp.stream()
  assert.equal(tcp.bind(id, data)?.code, 0)
  tcp.harness.events = []
  return { tcp, id, link: data.link }
}

test('RFC 6062 §5.3: a peer with a permission is announced by a ConnectionAttempt indication', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit('8.8.8.8:1')
  const { id, heard } = tcp.arrive(PEER)
  assert.deepEqual([heard?.method, heard?.peer, heard?.connection], ['ConnectionAttempt', PEER, id])
  assert.ok(id)
  assert.equal(tcp.bind(id)?.code, 0)
})

test('RFC 6062 §5.3: a peer without a permission, or with one that is over, is closed at once and not announced', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit('8.8.8.8:1')
  assert.deepEqual(tcp.arrive('9.9.9.9:5000'), { id: undefined, heard: undefined })
  tcp.harness.pass(301)
  assert.deepEqual(tcp.arrive(PEER), { id: undefined, heard: undefined })
  assert.equal(tcp.server.counters.drops['no-permission'], 2)
  assert.equal(tcp.server.peerConnectionCount, 0)
})

test('the peer policy holds for what peers open too', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit('8.8.8.8:1')
  assert.equal(tcp.arrive('8.8.8.8:25').id, undefined)
  assert.equal(tcp.server.counters.drops['peer-refused'], 1)
  const changed = relayConfigFor({ peers: { tcp: true, deny: ['8.8.8.8'] } })
  tcp.server.updateConfig(turnServerConfig(changed))
  assert.equal(tcp.arrive(PEER).id, undefined)
})

test('RFC 6062 §5.3: what a peer opened is closed when it is not bound in 30 seconds', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit(PEER)
  const { id } = tcp.arrive(PEER)
  tcp.harness.pass(30.2)
  assert.deepEqual(tcp.of('close-peer'), [{ kind: 'close-peer', connection: id }])
  assert.equal(tcp.bind(id)?.code, 400)
})

test('RFC 6062 §3: of one peer and port there is one connection', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit(PEER)
  const { id } = tcp.arrive(PEER)
  assert.equal(tcp.arrive(PEER).id, undefined)
  assert.equal(tcp.connect(PEER)?.code, 446)
  tcp.server.peerClosed(id!)
  assert.notEqual(tcp.arrive(PEER).id, undefined)
})

test('a flood of peers is bounded, and leaves room for Connect', () => {
  const tcp = new TcpAllocation({ limits: { pendingPeerConnectionsPerAllocation: 3 } })
  tcp.client.permit(PEER)
  const ids = Array.from({ length: 20 }, (_, i) => tcp.arrive(`8.8.8.8:${5000 + i}`).id)
  assert.equal(ids.filter((id) => id !== undefined).length, 3)
  assert.equal(tcp.server.counters.drops['connection-limit'], 17)
  assert.equal(tcp.connect('9.9.9.9:5000'), undefined)
})

test('CONNECTION-IDs are not to be guessed from one another', () => {
  const tcp = new TcpAllocation()
  tcp.client.permit(PEER)
  const ids = Array.from({ length: 8 }, (_, i) => tcp.arrive(`8.8.8.8:${5000 + i}`).id!)
  assert.equal(new Set(ids).size, 8)
  assert.ok(ids.some((id, i) => i > 0 && Math.abs(id - ids[i - 1]!) > 1_000_000))
})

test('RFC 6062 §5.5: when the client closes its data connection, that of the peer is closed', () => {
  const { tcp, id, link } = bound()
  tcp.server.removeLink(link, tcp.harness.now)
  tcp.harness.drain()
  assert.deepEqual(tcp.of('close-peer'), [{ kind: 'close-peer', connection: id }])
  assert.equal(tcp.server.peerConnectionCount, 0)
})

test('RFC 6062 §5.5: when the peer closes, the data connection of the client is closed', () => {
  const { tcp, id, link } = bound()
  tcp.server.peerClosed(id)
  tcp.harness.drain()
  assert.deepEqual(tcp.of('close-link'), [{ kind: 'close-link', link }])
})

const ENDS: readonly [name: string, end: (tcp: TcpAllocation) => unknown][] = [
  ['expires', (tcp) => tcp.harness.pass(640)],
  ['is deleted', (tcp) => tcp.client.refresh(0)],
  ['is revoked', (tcp) => tcp.server.revoke('alice', tcp.harness.now)],
  ['loses its control connection', (tcp) => tcp.server.removeLink(2, tcp.harness.now)],
  ['ends with the relay', (tcp) => tcp.server.closeAll('shutdown', tcp.harness.now)],
]
for (const [name, end] of ENDS) {
  test(`RFC 6062 §5.5: all connections of an allocation that ${name} are closed`, () => {
    const { tcp, link } = bound()
    tcp.client.permit('9.9.9.9:1')
    tcp.arrive('9.9.9.9:5000')
    tcp.connect('9.9.9.9:6000')
    end(tcp)
    tcp.harness.drain()
    assert.equal(tcp.of('close-peer').length, 3)
    assert.deepEqual(tcp.of('close-link'), [{ kind: 'close-link', link }])
    assert.deepEqual([tcp.server.peerConnectionCount, tcp.server.allocationCount], [0, 0])
    tcp.harness.pass(60)
    assert.deepEqual(tcp.of('close-peer').length, 3)
  })
}

test('a draining relay keeps its TCP allocations and lets them connect', () => {
  const { tcp } = bound()
  tcp.server.startDrain({ alternates: [] })
  assert.equal(tcp.connect('9.9.9.9:5000'), undefined)
  assert.equal(tcp.accept()?.code, 0)
  assert.equal(tcp.stream().request(METHOD.Allocate, (writer) => writer.addFirstByte(0x19, 6))?.code, 508)
})

test('a peer policy that changes, or peers.tcp turned off, closes what it no longer allows', () => {
  for (const peers of [{ tcp: true, deny: ['8.8.8.8'] }, { tcp: false }]) {
    const { tcp, id, link } = bound()
    tcp.server.updateConfig(turnServerConfig(relayConfigFor({ peers })))
    tcp.harness.drain()
    assert.deepEqual(tcp.harness.kinds(), ['close-peer', 'close-link'])
    assert.equal(tcp.server.handleSplicedData(id, 'peer', 10, tcp.harness.now), tcp.harness.now)
    assert.equal(tcp.connect(PEER)?.code, 403)
    assert.ok(link)
  }
})

test('data on bound connections counts for the allocation and the relay', () => {
  const { tcp, id } = bound()
  tcp.server.handleSplicedData(id, 'client', 1000, tcp.harness.now)
  tcp.server.handleSplicedData(id, 'client', 500, tcp.harness.now)
  tcp.server.handleSplicedData(id, 'peer', 70, tcp.harness.now)
  tcp.client.refresh(0)
  const [closed] = tcp.of('allocation-closed')
  assert.deepEqual(
    [closed?.clientBytes, closed?.clientPackets, closed?.peerBytes, closed?.peerPackets],
    [1500, 2, 70, 1],
  )
  const { clientBytes, peerBytes } = tcp.server.counters
  assert.deepEqual([clientBytes, peerBytes], [1500, 70])
})

test('all connections of an allocation share its bytes per second: what is too fast waits', () => {
  const { tcp, id } = bound({ limits: { bytesPerSecondPerAllocation: 1000 } })
  const { now } = tcp.harness
  tcp.connect('9.9.9.9:5000')
  const other = tcp.accept()!.connection!
  tcp.bind(other)
  assert.equal(tcp.server.handleSplicedData(id, 'client', 1000, now), now)
  assert.equal(tcp.server.handleSplicedData(other, 'peer', 3000, now), now + 3000)
  assert.equal(tcp.server.handleSplicedData(id, 'client', 1000, now + 3000), now + 4000)
  assert.equal(tcp.server.handleSplicedData(id, 'client', 500, now + 5000), now + 5000)
})
