import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, hear, request, TurnHarness } from '../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunWriter } from '../stun/writer.ts'

const PEER = '8.8.8.8:5000'
const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes)

function bound(input: ConstructorParameters<typeof TurnHarness>[0] = {}) {
  const harness = new TurnHarness(input)
  const client = harness.client()
  const relayed = client.allocate()!.relayed![0]!
  client.permit('9.9.9.9:1')
  client.bind(0x4000, PEER)
  return { harness, client, relayed }
}

test('RFC 8656 §11.2: a Send indication goes to its peer, its DATA untouched', () => {
  const sent = bound().client.send('9.9.9.9:6000', 'five!')
  assert.deepEqual([sent?.target, sent?.to, text(sent?.bytes)], ['peer', '9.9.9.9:6000', 'five!'])
})

test('RFC 8656 §11.2: empty DATA is an empty datagram', () => {
  assert.equal(bound().client.send('9.9.9.9:6000', '')?.bytes.length, 0)
})

test('RFC 8656 §12.6: ChannelData goes to its peer, without header and padding', () => {
  const { harness, client } = bound()
  assert.deepEqual(text(client.channelData(0x4000, 'five!')?.bytes), 'five!')
  const padded = new Uint8Array([0x40, 0, 0, 1, 65, 0, 0, 0])
  assert.equal(text(harness.fromClient(client.from, padded)?.bytes), 'A')
  assert.equal(client.channelData(0x4000, '')?.bytes.length, 0)
})

test('RFC 8656 §12.7: a bound peer’s data comes as ChannelData, on UDP without padding', () => {
  const { harness, client, relayed } = bound()
  const sent = harness.fromPeer(relayed, PEER, 'five!')
  assert.deepEqual([sent?.target, sent?.socket, sent?.to], ['client', 1, client.from])
  assert.deepEqual([...sent!.bytes], [0x40, 0, 0, 5, ...Buffer.from('five!')])
})

test('RFC 8656 §12.5: on a stream ChannelData is padded to four bytes with zeros', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  const client = harness.client('198.51.100.7:4000', 2)
  const relayed = client.allocate()!.relayed![0]!
  client.bind(0x4000, PEER)
  const sent = harness.fromPeer(relayed, PEER, 'five!')
  assert.equal(sent?.socket, 2)
  assert.deepEqual([...sent!.bytes], [0x40, 0, 0, 5, ...Buffer.from('five!'), 0, 0, 0])
})

for (const peer of ['9.9.9.9:6000', '9.9.9.9:7000']) {
  test(`RFC 8656 §11.3: data of ${peer}, which no channel is bound to, comes as a Data indication`, () => {
    const { harness, relayed } = bound()
    const heard = hear(harness.fromPeer(relayed, peer, 'five!')!.bytes)
    assert.deepEqual(
      [heard.method, heard.class, heard.peer, heard.data],
      ['Data', CLASS.Indication, peer, 'five!'],
    )
  })
}

test('RFC 8656 §11.3: an IPv6 peer’s data fits the head room', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  const relayed = client.allocate((writer) => writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, 2))!
    .relayed![0]!
  client.permit('[2600::1]:1')
  const heard = hear(harness.fromPeer(relayed, '[2600::1]:6000', 'x')!.bytes)
  assert.deepEqual([heard.peer, heard.data], ['[2600::1]:6000', 'x'])
})

test('Data indications have different transaction ids', () => {
  const { harness, relayed } = bound()
  const ids = [1, 2, 3].map(() => hear(harness.fromPeer(relayed, '9.9.9.9:6000', 'x')!.bytes).id)
  assert.equal(new Set(ids).size, 3)
})

function channelBytes(...bytes: number[]): Uint8Array {
  return new Uint8Array(bytes)
}

function sendIndication(attributes: (writer: StunWriter) => void): Uint8Array {
  const writer = new StunWriter().start(METHOD.Send, CLASS.Indication, new Uint8Array(12))
  attributes(writer)
  return writer.finish()
}

const to = (peer: string) => (writer: StunWriter) =>
  writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
const data = (writer: StunWriter) => writer.addText(ATTRIBUTE.Data, 'x')

const DROPPED: readonly [name: string, bytes: Uint8Array, from?: string][] = [
  ['ChannelData on a number that is not bound', channelBytes(0x40, 1, 0, 1, 65)],
  ['ChannelData from another client', channelBytes(0x40, 0, 0, 1, 65), '198.51.100.7:4001'],
  ['ChannelData that claims more than is there', channelBytes(0x40, 0, 0, 2, 65)],
  ['ChannelData of a reserved number', channelBytes(0x50, 0, 0, 1, 65)],
  ['half a ChannelData header', channelBytes(0x40, 0)],
  ['first bits 11', channelBytes(0xc0, 0, 0, 0)],
  ['nothing', channelBytes()],
  ['a Send indication without a permission', sendIndication((w) => data(to('1.1.1.1:5000')(w)))],
  ['a Send indication to port 0', sendIndication((w) => data(to('9.9.9.9:0')(w)))],
  ['a Send indication to a privileged port', sendIndication((w) => data(to('9.9.9.9:53')(w)))],
  ['a Send indication without DATA', sendIndication(to('9.9.9.9:6000'))],
  ['a Send indication without a peer', sendIndication(data)],
  [
    'a Send indication with DONT-FRAGMENT',
    sendIndication((w) => data(to('9.9.9.9:6000')(w.addFlag(ATTRIBUTE.DontFragment)))),
  ],
  [
    'a Send indication from another client',
    sendIndication((w) => data(to('9.9.9.9:6000')(w))),
    '198.51.100.7:4001',
  ],
  ['a Data indication', new StunWriter().start(METHOD.Data, CLASS.Indication, new Uint8Array(12)).finish()],
  [
    'a Binding indication',
    new StunWriter().start(METHOD.Binding, CLASS.Indication, new Uint8Array(12)).finish(),
  ],
  ['a response', new StunWriter().start(METHOD.Binding, CLASS.Success, new Uint8Array(12)).finish()],
  [
    'an error response',
    new StunWriter().start(METHOD.Allocate, CLASS.Error, new Uint8Array(12)).addErrorCode(401).finish(),
  ],
  ['an unknown method', request(0x0ff)],
  ['a wrong magic cookie', request(METHOD.Binding).with(4, 0)],
  ['a wrong length', request(METHOD.Binding).with(3, 4)],
  ['a wrong FINGERPRINT', request(METHOD.Binding, { fingerprint: true }).with(8, 0).with(9, 0).with(10, 0)],
  ['a request from port 0', request(METHOD.Binding), '198.51.100.7:0'],
  ['a request from a multicast address', request(METHOD.Binding), '224.0.0.1:4000'],
  ['a request from the broadcast address', request(METHOD.Binding), '255.255.255.255:4000'],
  ['a request from an IPv6 multicast address', request(METHOD.Binding), '[ff02::1]:4000'],
  ['HTTP', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
]
for (const [name, bytes, from] of DROPPED) {
  test(`${name} goes nowhere and is not answered`, () => {
    const { harness, client } = bound()
    const before = Object.values(harness.server.counters.drops).reduce((sum, count) => sum + count)
    assert.equal(harness.fromClient(from ?? client.from, bytes), undefined)
    assert.deepEqual(harness.drain(), [])
    const after = Object.values(harness.server.counters.drops).reduce((sum, count) => sum + count)
    assert.equal(after, before + 1)
  })
}

const UNWANTED = ['1.1.1.1:5000', '10.0.0.1:5000', '9.9.9.9:53', '9.9.9.9:0', '[2600::1]:5000']
for (const peer of UNWANTED) {
  test(`data from ${peer} is dropped`, () => {
    const { harness, relayed } = bound()
    assert.equal(harness.fromPeer(relayed, peer, 'x'), undefined)
  })
}

test('two clients of one relay reach each other by their relayed addresses, also behind a NAT that would not turn round', () => {
  const harness = new TurnHarness({
    relay: { addresses: [{ bind: '10.0.0.5', advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_999 } },
  })
  const [a, b] = [harness.client('198.51.100.7:1'), harness.client('198.51.100.8:2')]
  const [ra, rb] = [a.allocate()!.relayed![0]!, b.allocate()!.relayed![0]!]
  assert.equal(a.permit(rb)?.code, 0)
  assert.equal(a.send(rb, 'x'), undefined, 'the other side has no permission yet')
  assert.equal(b.bind(0x4000, ra)?.code, 0)
  const sent = a.send(rb, 'five!')
  assert.deepEqual([sent?.target, sent?.to, text(sent?.bytes.subarray(4))], ['client', b.from, 'five!'])
  const back = hear(b.channelData(0x4000, 'back')!.bytes)
  assert.deepEqual([back.peer, back.data], [rb, 'back'])
  b.refresh(0)
  assert.equal(a.send(rb, 'x'), undefined, 'what is gone is no peer')
})

test('hairpin may be turned off', () => {
  const harness = new TurnHarness({ peers: { hairpin: false } })
  const [a, b] = [harness.client('198.51.100.7:1'), harness.client('198.51.100.8:2')]
  a.allocate()
  assert.equal(a.permit(b.allocate()!.relayed![0]!)?.code, 403)
})

test('RFC 8656 §5: data over the rate is dropped and counted, and comes again a second later', () => {
  const { harness, client } = bound({ limits: { packetsPerSecondPerAllocation: 5 } })
  const passed = () => Array.from({ length: 9 }, () => client.channelData(0x4000, 'x')).filter(Boolean).length
  assert.equal(passed(), 5)
  assert.equal(harness.server.counters.drops['rate-limit'], 4)
  harness.pass(1)
  assert.equal(passed(), 5)
})

test('the byte rate holds for both directions together', () => {
  const { harness, client, relayed } = bound({ limits: { bytesPerSecondPerAllocation: 1000 } })
  assert.ok(client.channelData(0x4000, 'x'.repeat(600)))
  assert.equal(harness.fromPeer(relayed, PEER, 'x'.repeat(600)), undefined)
  assert.ok(harness.fromPeer(relayed, PEER, 'x'.repeat(400)))
})

test('a closed allocation tells what it relayed', () => {
  const { harness, client, relayed } = bound()
  client.send('9.9.9.9:6000', 'five!')
  client.channelData(0x4000, 'two')
  harness.fromPeer(relayed, PEER, 'x')
  harness.pass(2)
  client.refresh(0)
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.ok(closed)
  assert.deepEqual(
    [closed.clientPackets, closed.clientBytes, closed.peerPackets, closed.peerBytes, closed.durationMs],
    [2, 8, 1, 1, 2000],
  )
})
