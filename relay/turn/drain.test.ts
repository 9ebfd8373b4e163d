import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  alternate,
  REALM,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { longTermKey } from '../stun/integrity.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunWriter } from '../stun/writer.ts'

const ALTERNATES = ['192.0.2.2:3478', '192.0.2.3:3478', '[2001:db8::2]:3478'].map((text) => alternate(text))

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

test('RFC 8489 §10: an alternate of the other family follows the one of the client’s', () => {
  const harness = draining()
  assert.deepEqual(harness.client().ask(METHOD.Allocate)?.alternates, [
    '192.0.2.2:3478',
    '[2001:db8::2]:3478',
  ])
  const v6 = harness.client('[2001:db8::7]:4000', 4).ask(METHOD.Allocate)
  assert.deepEqual(v6?.alternates, ['[2001:db8::2]:3478', '192.0.2.2:3478'])
})

test('RFC 8489 §16.1.2: a redirection is at most 2.6 times the request, also of a bare header', () => {
  for (const [from, link] of [['198.51.100.7:4000', 1] as const, ['[2001:db8::7]:4000', 4] as const]) {
    const harness = draining()
    const attributes = (writer: StunWriter) => void writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
    for (const bytes of [request(METHOD.Allocate), request(METHOD.Allocate, { attributes })]) {
      harness.fromClient(from, bytes, link)
      const [answer] = harness.drain()
      assert.equal(answer?.code, 300)
      assert.ok(answer.bytes.length <= 2.6 * bytes.length, `${answer.bytes.length} for ${bytes.length}`)
    }
  }
})

test('RFC 8489 §10: the alternate is for the transport that the client uses', () => {
  const harness = draining([
    alternate('192.0.2.2:3478', { protocol: 'udp' }),
    alternate('192.0.2.2:80', { protocol: 'tcp' }),
  ])
  assert.equal(harness.client().ask(METHOD.Allocate)?.alternate, '192.0.2.2:3478')
  assert.equal(harness.client('198.51.100.7:4000', 2).ask(METHOD.Allocate)?.alternate, '192.0.2.2:80')
})

const SECURE = [
  alternate('192.0.2.2:443', { protocol: 'tls', domain: 'two.turn.example.org' }),
  alternate('192.0.2.3:5349', { protocol: 'dtls', domain: 'three.turn.example.org' }),
  alternate('[2001:db8::3]:443', { protocol: 'tls', domain: 'v6.turn.example.org' }),
]

/** An Allocate over TLS or DTLS of a client that signs with SHA-256, or with SHA-1. */
function allocateSecurely(harness: TurnHarness, link: number, sha256: boolean) {
  const client = harness.client('198.51.100.7:4000', link)
  const nonce = client.ask(METHOD.Allocate)?.nonce
  if (nonce === undefined) return undefined
  const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, new Uint8Array(12))
  writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
  writer
    .addText(ATTRIBUTE.Username, USER.username)
    .addText(ATTRIBUTE.Realm, REALM)
    .addText(ATTRIBUTE.Nonce, nonce)
  const key = longTermKey(nodeCrypto, USER.username, REALM, USER.password)
  const closing = sha256 ? { sha256Key: key } : { integrityKey: key }
  harness.fromClient(client.from, writer.finish({ ...closing, crypto: nodeCrypto }), link)
  return harness.drain()[0]
}

for (const [transport, link, alternateAt, domain] of [
  ['TLS', 3, '192.0.2.2:443', 'two.turn.example.org'],
  ['DTLS', 5, '192.0.2.3:5349', 'three.turn.example.org'],
] as const) {
  test(`RFC 8489 §10, §14.16: a ${transport} client that signs with SHA-256 is told the name of the alternate’s certificate`, () => {
    const harness = draining(SECURE)
    harness.addLink(5, 'dtls', '192.0.2.1:5349', '198.51.100.7:4000')
    const answer = allocateSecurely(harness, link, true)
    assert.deepEqual([answer?.code, answer?.alternates, answer?.domain], [300, [alternateAt], domain])
  })

  test(`a ${transport} client that signs with SHA-1 knows no ALTERNATE-DOMAIN and is answered 508`, () => {
    const harness = draining(SECURE)
    harness.addLink(5, 'dtls', '192.0.2.1:5349', '198.51.100.7:4000')
    assert.equal(allocateSecurely(harness, link, false)?.code, 508)
  })
}

test('without a name for its certificate no TLS client is sent to an alternate', () => {
  assert.equal(
    allocateSecurely(draining([alternate('192.0.2.2:443', { protocol: 'tls' })]), 3, true)?.code,
    508,
  )
})

test('UDP and TCP clients hear no ALTERNATE-DOMAIN', () => {
  const harness = draining([alternate('192.0.2.2:3478', { domain: 'two.turn.example.org' })])
  assert.deepEqual(harness.client().ask(METHOD.Allocate)?.domain, undefined)
})

test('a name that is no DNS name is refused in drain.alternates', () => {
  const alternates = (domain: string) => [{ address: '192.0.2.2', port: 443, domain }]
  assert.ok(relayConfigFor({ drain: { alternates: alternates('xn--bcher-kva.example') } }))
  for (const domain of ['', 'a b', '-a', 'bücher.example', 'a..b', `${'a'.repeat(255)}.b`]) {
    assert.throws(
      () => relayConfigFor({ drain: { alternates: alternates(domain) } }),
      /DNS name|Too big|too_big/,
    )
  }
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
