import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, TurnHarness } from '../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'

const ALTERNATES = ['192.0.2.2:3478', '192.0.2.3:3478', '[2001:db8::2]:3478'].map(address)

function draining(alternates = ALTERNATES) {
  const harness = new TurnHarness()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  harness.addLink(3, 'tls', '192.0.2.1:443', '198.51.100.7:4000')
  harness.addLink(4, 'udp', '[2001:db8::1]:3478')
  harness.server.startDrain({ alternates })
  return harness
}

const CLIENTS: readonly [name: string, from: string, link: number, alternate: string][] = [
  ['a UDP client', '198.51.100.7:4000', 1, '192.0.2.2:3478'],
  ['a TCP client', '198.51.100.7:4000', 2, '192.0.2.2:3478'],
  ['an IPv6 client', '[2001:db8::7]:4000', 4, '[2001:db8::2]:3478'],
]
for (const [name, from, link, alternate] of CLIENTS) {
  test(`RFC 8489 §10: ${name} of a draining relay is sent to the first alternate of its family`, () => {
    const answer = draining().client(from, link).ask(METHOD.Allocate)
    assert.deepEqual([answer?.code, answer?.alternate], [300, alternate])
  })
}

test('a redirected client is told before it proves who it is, so that its nonce is the next relay’s', () => {
  assert.equal(draining().client().ask(METHOD.Allocate)?.authentic, false)
})

test('a client that was challenged before the drain began is redirected too', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.nonce = client.ask(METHOD.Allocate)?.nonce
  harness.server.startDrain({ alternates: ALTERNATES })
  const answer = client.allocate()
  assert.deepEqual([answer?.code, answer?.authentic], [300, true])
})

test('a TLS client cannot follow an address and is answered 508', () => {
  assert.equal(draining().client('198.51.100.7:4000', 3).allocate()?.code, 508)
})

test('without an alternate of the family the answer is 508', () => {
  assert.equal(draining([]).client().allocate()?.code, 508)
})

test('alternates may change while draining', () => {
  const harness = draining([])
  harness.server.setAlternates(ALTERNATES)
  assert.equal(harness.client().ask(METHOD.Allocate)?.code, 300)
})

test('what is live goes on while draining, with no more than the default lifetime', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  const id = new Uint8Array(12).fill(1)
  client.allocate((writer) => writer.addUint32(ATTRIBUTE.Lifetime, 3600), { id })
  harness.server.startDrain({ alternates: ALTERNATES })
  assert.equal(client.refresh(3600)?.lifetime, 600)
  assert.equal(client.permit('8.8.8.8:1')?.code, 0)
  assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
  assert.ok(client.channelData(0x4000, 'x'))
  assert.equal(client.ask(METHOD.Binding)?.code, 0)
  assert.equal(client.allocate(undefined, { id })?.code, 0, 'a retransmission')
})

test('a relay that is no longer draining takes new clients again', () => {
  const harness = draining()
  harness.server.endDrain()
  assert.equal(harness.client().allocate()?.code, 0)
})
