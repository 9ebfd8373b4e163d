import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TcpAllocation } from '../../../test/support/tcp-allocation.ts'
import { address, OTHER_USER } from '../../../test/support/turn-harness.ts'
import { formatAddress } from '../../stun/address-text.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunWriter } from '../../stun/writer.ts'

const PEER = '8.8.8.8:5000'

test('RFC 6062 §5.2: Connect is answered with a CONNECTION-ID once the peer has accepted', () => {
  const tcp = new TcpAllocation()
  assert.equal(tcp.connect(PEER), undefined)
  const [asked] = tcp.connectPeers()
  assert.equal(formatAddress(asked!.to), PEER)
  assert.ok(tcp.harness.bound.has(asked!.relay))
  const answer = tcp.accept()
  assert.deepEqual([answer?.method, answer?.code, answer?.authentic], ['Connect', 0, true])
  assert.equal(answer?.connection, asked!.connection)
})

test('RFC 6062 §5.2: a Connect to the same peer is answered 446 while one is made, waits or is bound', () => {
  const tcp = new TcpAllocation()
  tcp.connect(PEER)
  assert.equal(tcp.connect(PEER)?.code, 446)
  const { connection } = tcp.accept()!
  assert.equal(tcp.connect(PEER)?.code, 446)
  assert.equal(tcp.bind(connection)?.code, 0)
  assert.equal(tcp.connect(PEER)?.code, 446)
  assert.equal(tcp.connect('8.8.8.8:5001'), undefined)
  tcp.server.peerClosed(connection!)
  assert.equal(tcp.connect(PEER), undefined)
})

test('RFC 6062 §5.2: a connection that fails is answered 447, and may be tried again', () => {
  const tcp = new TcpAllocation()
  tcp.connect(PEER)
  tcp.server.peerClosed(tcp.connectPeers()[0]!.connection)
  assert.equal(tcp.harness.drain().at(-1)?.code, 447)
  assert.equal(tcp.server.peerConnectionCount, 0)
  assert.equal(tcp.connect(PEER), undefined)
})

test('RFC 6062 §5.2: a peer that has not accepted in 30 seconds is answered 447, and given up', () => {
  const tcp = new TcpAllocation()
  tcp.connect(PEER)
  tcp.harness.pass(29.9)
  assert.equal(tcp.harness.heard.at(-1)?.method, 'Allocate')
  tcp.harness.pass(0.3)
  assert.equal(tcp.harness.heard.at(-1)?.code, 447)
  const { connection } = tcp.connectPeers()[0]!
  assert.deepEqual(tcp.of('close-peer'), [{ kind: 'close-peer', connection }])
  tcp.server.peerConnected(connection, tcp.harness.now)
  assert.deepEqual(tcp.harness.drain(), [])
})

const REFUSED: readonly [name: string, peer: string, code: number][] = [
  ['a private address', '10.0.0.1:5000', 403],
  ['loopback', '127.0.0.1:5000', 403],
  ['the metadata service', '169.254.169.254:80', 403],
  ['an IPv4-mapped private address', '[::ffff:10.0.0.1]:5000', 403],
  ['an IPv4-compatible private address', '[::10.0.0.1]:5000', 403],
  ['a NAT64 form of loopback', '[64:ff9b::7f00:1]:5000', 403],
  ['a 6to4 form of a private address', '[2002:a00:1::1]:5000', 403],
  ['a privileged port', '8.8.8.8:25', 403],
  ['port 0', '8.8.8.8:0', 403],
  ['the relay itself, where no allocation is', '192.0.2.1:40000', 403],
  ['a listener of the relay', '192.0.2.1:3478', 403],
  ['a peer of another family', '[2600::1]:5000', 443],
]
for (const [name, peer, code] of REFUSED) {
  test(`RFC 6062 §5.2: Connect to ${name} is answered ${code} and opens nothing`, () => {
    const tcp = new TcpAllocation()
    assert.equal(tcp.connect(peer)?.code, code)
    assert.deepEqual(tcp.connectPeers(), [])
  })
}

test('an allocation cannot connect to its own relayed address', () => {
  const tcp = new TcpAllocation()
  assert.equal(tcp.connect(tcp.relayed)?.code, 403)
})

test('RFC 6062 §5.2: Connect without an allocation is answered 437, without XOR-PEER-ADDRESS 400', () => {
  const tcp = new TcpAllocation()
  assert.equal(tcp.stream().request(METHOD.Connect)?.code, 437)
  assert.equal(tcp.client.request(METHOD.Connect)?.code, 400)
})

test('RFC 8656 §5: Connect of another user on the control connection is answered 441', () => {
  const tcp = new TcpAllocation()
  assert.equal(tcp.connect(PEER, { user: OTHER_USER })?.code, 441)
})

test('Connect on a UDP allocation is answered 400', () => {
  const tcp = new TcpAllocation()
  const udp = tcp.harness.client()
  udp.allocate()
  const toPeer = (writer: StunWriter) => void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(PEER))
  assert.equal(udp.request(METHOD.Connect, toPeer)?.code, 400)
  assert.deepEqual(tcp.connectPeers(), [])
})

test('a flood of Connects is bounded for an allocation and for the relay, and says 508', () => {
  const limits = { pendingPeerConnectionsPerAllocation: 3, peerConnectionsPerAllocation: 4 }
  const tcp = new TcpAllocation({ limits })
  const codes = Array.from({ length: 10 }, (_, i) => tcp.connect(`8.8.8.8:${5000 + i}`)?.code)
  assert.deepEqual(codes, [undefined, undefined, undefined, ...Array(7).fill(508)])
  for (const { connection } of tcp.connectPeers().slice(0, 2)) {
    tcp.server.peerConnected(connection, tcp.harness.now)
    tcp.harness.drain()
    assert.equal(tcp.bind(connection)?.code, 0)
  }
  assert.equal(tcp.connect('8.8.8.8:6000'), undefined)
  assert.equal(tcp.connect('8.8.8.8:6001')?.code, 508)
  assert.equal(tcp.server.peerConnectionCount, 4)
  const small = new TcpAllocation({ limits: { peerConnections: 1 } })
  assert.equal(small.connect(PEER), undefined)
  assert.equal(small.connect('8.8.8.8:5001')?.code, 508)
})

test('Connects count as new peers, so that a search for open ports is slow', () => {
  const limits = { newPeersPerSecondPerAllocation: 1, pendingPeerConnectionsPerAllocation: 1024 }
  const tcp = new TcpAllocation({ limits: { ...limits, peerConnectionsPerAllocation: 1024 } })
  const codes = Array.from({ length: 100 }, (_, i) => tcp.connect(`8.8.8.8:${5000 + i}`)?.code)
  assert.ok(codes.includes(undefined))
  assert.equal(codes.at(-1), 403)
  tcp.harness.pass(1)
  assert.equal(tcp.connect('8.8.8.8:6000'), undefined)
})

test('another client of this relay is reached where its relayed address is bound', () => {
  const tcp = new TcpAllocation({
    relay: { addresses: [{ bind: '10.0.0.5', advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_999 } },
  })
  const other = tcp.stream()
  const relayed = other.request(METHOD.Allocate, (writer) => writer.addFirstByte(0x0019, 6))!.relayed![0]!
  assert.equal(tcp.connect(relayed), undefined)
  assert.equal(formatAddress(tcp.connectPeers()[0]!.to), relayed.replace('192.0.2.1', '10.0.0.5'))
  assert.equal(other.permit(tcp.relayed)?.code, 0)
  const { heard } = tcp.arrive(tcp.relayed.replace('192.0.2.1', '10.0.0.5'), relayed)
  assert.deepEqual([heard?.method, heard?.peer], ['ConnectionAttempt', tcp.relayed])
})
