import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allocateTcp, TcpAllocation } from '../../../test/support/tcp-allocation.ts'
import { TurnHarness } from '../../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import type { StunWriter } from '../../stun/writer.ts'

test('RFC 6062 §5.1: an Allocate for TCP on a stream is given a TCP relayed address', () => {
  const tcp = new TcpAllocation()
  assert.deepEqual([tcp.answer?.code, tcp.answer?.lifetime], [0, 600])
  assert.match(tcp.relayed, /^192\.0\.2\.1:50\d\d\d$/)
  assert.deepEqual(
    tcp.of('bind-relay').map(({ transport }) => transport),
    ['tcp'],
  )
  assert.equal(tcp.of('allocation-opened')[0]?.allocation.relayTransport, 'tcp')
})

const EXCLUDED: readonly [name: string, attribute: (writer: StunWriter) => unknown][] = [
  ['EVEN-PORT', (writer) => writer.addEvenPort(false)],
  ['RESERVATION-TOKEN', (writer) => writer.addBytes(ATTRIBUTE.ReservationToken, new Uint8Array(8))],
  ['DONT-FRAGMENT', (writer) => writer.addFlag(ATTRIBUTE.DontFragment)],
]
for (const [name, attribute] of EXCLUDED) {
  test(`RFC 6062 §5.1: ${name} beside TCP is answered 400`, () => {
    const harness = new TurnHarness({ peers: { tcp: true } }, { tcpPeers: true })
    harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4002')
    assert.equal(allocateTcp(harness.client('198.51.100.7:4002', 2), attribute)?.code, 400)
    assert.equal(harness.server.allocationCount, 0)
  })
}

test('RFC 6062 §5.1: an Allocate for TCP over UDP is answered 400', () => {
  const harness = new TurnHarness({ peers: { tcp: true } }, { tcpPeers: true })
  assert.equal(allocateTcp(harness.client())?.code, 400)
})

test('RFC 6062 §5.1: it is answered 442 while peers.tcp is off, or where the I/O layer has no TCP peers', () => {
  for (const [on, able] of [
    [false, true],
    [true, false],
  ] as const) {
    const harness = new TurnHarness({ peers: { tcp: on } }, { tcpPeers: able })
    harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4002')
    assert.equal(allocateTcp(harness.client('198.51.100.7:4002', 2))?.code, 442)
  }
})

test('RFC 6062 §3: no datagram of a TCP allocation is relayed, and no channel bound', () => {
  const tcp = new TcpAllocation()
  assert.equal(tcp.client.permit('8.8.8.8:5000')?.code, 0)
  assert.equal(tcp.client.send('8.8.8.8:5000', 'lost'), undefined)
  assert.equal(tcp.client.bind(0x4000, '8.8.8.8:5000')?.code, 400)
  assert.equal(tcp.harness.fromPeer(tcp.relayed, '8.8.8.8:5000', 'lost'), undefined)
})

test('a datagram for the TCP relayed address of another client goes nowhere', () => {
  const tcp = new TcpAllocation()
  const udp = tcp.harness.client('198.51.100.9:5000')
  const relayed = udp.allocate()!.relayed![0]!
  assert.equal(tcp.client.permit(relayed)?.code, 0)
  assert.equal(udp.permit(tcp.relayed)?.code, 0)
  assert.equal(udp.send(tcp.relayed, 'lost'), undefined)
})

test('quotas count TCP allocations with the others', () => {
  const tcp = new TcpAllocation({ limits: { allocationsPerUser: 1 } })
  assert.equal(allocateTcp(tcp.stream())?.code, 486)
  assert.equal(tcp.client.refresh(0)?.code, 0)
  assert.equal(allocateTcp(tcp.stream())?.code, 0)
})
