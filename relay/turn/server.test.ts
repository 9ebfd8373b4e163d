import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  address,
  hear,
  OTHER_USER,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import { turnServerConfig } from './server-config.ts'

const config = (input: Partial<RelayConfigInput>) => turnServerConfig(relayConfigFor(input))

function calling(input: Partial<RelayConfigInput> = {}) {
  const harness = new TurnHarness(input)
  const client = harness.client()
  const relayed = client.allocate()!.relayed![0]!
  client.permit('9.9.9.9:1')
  client.bind(0x4000, '8.8.8.8:5000')
  return { harness, client, relayed }
}

test('RFC 8489 §2: Binding tells the address it came from, of either family, and needs no credentials', () => {
  for (const from of ['198.51.100.7:4000', '[2001:db8::7]:4000']) {
    assert.equal(new TurnHarness().client(from).ask(METHOD.Binding)?.mapped, from)
  }
})

test('a Binding answer is at most 1.6 times the request', () => {
  assert.ok(
    new TurnHarness().client().ask(METHOD.Binding)!.bytes.length <= 1.6 * request(METHOD.Binding).length,
  )
})

test('RFC 8489 §7: a request with FINGERPRINT is answered with one', () => {
  const heard = new TurnHarness().client().ask(METHOD.Binding, { fingerprint: true })
  assert.equal(Buffer.from(heard!.bytes).readUInt16BE(heard!.bytes.length - 8), ATTRIBUTE.Fingerprint)
})

test('a peer that a new policy denies is cut off at once, others are not', () => {
  const { harness, client, relayed } = calling()
  harness.server.updateConfig(config({ peers: { deny: ['8.8.8.0/24'] } }))
  assert.equal(client.channelData(0x4000, 'x'), undefined)
  assert.equal(harness.fromPeer(relayed, '8.8.8.8:5000', 'x'), undefined)
  assert.ok(client.send('9.9.9.9:6000', 'x'))
  assert.deepEqual([harness.server.permissionCount, harness.server.channelCount], [1, 0])
})

test('a configuration that cannot be used throws and leaves the old one in force', () => {
  const { harness, client } = calling()
  const good = config({ credentials: { users: [OTHER_USER] } })
  const bad = { ...good, peers: { ...good.peers, deny: ['nonsense'] } }
  assert.throws(() => harness.server.updateConfig(bad), /"nonsense"/)
  assert.ok(client.channelData(0x4000, 'x'))
  assert.equal(harness.client('198.51.100.9:9').allocate()?.code, 0)
})

test('new users, limits, addresses and nonce keys hold for the next request; what is live goes on', () => {
  const { harness, client } = calling()
  harness.server.updateConfig(
    config({
      credentials: { users: [OTHER_USER] },
      relay: { addresses: [{ advertise: '192.0.2.99' }], ports: { min: 50_000, max: 50_999 } },
      nonceKeys: [
        { id: 'n2', secret: 'another' },
        { id: 'n1', secret: 'nonce secret' },
      ],
    }),
  )
  assert.equal(client.refresh()?.code, 0)
  assert.ok(client.channelData(0x4000, 'x'))
  const next = harness.client('198.51.100.9:9')
  assert.equal(next.allocate()?.code, 401)
  assert.match(next.allocate(undefined, { user: OTHER_USER })?.relayed?.join() ?? '', /^192\.0\.2\.99:/)
})

test('an address that is no longer configured keeps its allocations and gets no new ones', () => {
  const { harness, client } = calling({ limits: { allocations: 1 } })
  harness.server.updateConfig(config({ relay: { addresses: [], ports: { min: 50_000, max: 50_999 } } }))
  assert.equal(client.refresh()?.code, 0)
  assert.equal(harness.client('198.51.100.9:9').allocate()?.code, 440)
})

test('revoking a user ends that user’s allocations only', () => {
  const { harness } = calling()
  harness.client('198.51.100.8:1').allocate(undefined, { user: OTHER_USER })
  assert.equal(harness.server.revoke(USER.username, harness.now), 1)
  harness.drain()
  assert.equal(harness.server.allocationCount, 1)
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.deepEqual([closed?.reason, closed?.allocation.username], ['revoked', USER.username])
})

test('a link that goes takes its allocations with it, and no others', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  harness.client('198.51.100.7:4000', 2).allocate()
  harness.client('198.51.100.7:4000').allocate()
  harness.client('198.51.100.7:4001').allocate()
  harness.server.removeLink(2, harness.now)
  assert.equal(harness.server.allocationCount, 2)
  harness.server.removeLink(1, harness.now)
  harness.drain()
  assert.equal(harness.server.allocationCount, 0)
  assert.equal(harness.bound.size, 0)
})

test('a link that goes while the socket is being bound gives all back', () => {
  const harness = new TurnHarness({ limits: { allocations: 1 } })
  harness.onBind = () => 'pending'
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  harness.client('198.51.100.7:4000', 2).allocate()
  harness.server.removeLink(2, harness.now)
  harness.drain()
  harness.server.relayBound(1, harness.now)
  assert.deepEqual(harness.drain(), [])
  harness.onBind = () => undefined
  assert.equal(harness.client().allocate()?.code, 0)
})

test('a relay socket that fails ends its allocation', () => {
  const { harness } = calling()
  harness.server.relayBindFailed(1, 'unavailable', harness.now)
  harness.drain()
  assert.equal(harness.server.allocationCount, 0)
  assert.equal(harness.events.find((event) => event.kind === 'allocation-closed')?.reason, 'relay-failed')
})

test('counters tell what was answered and why not', () => {
  const { harness, client } = calling()
  client.permit('10.0.0.1:1')
  const { responses, refusals, opened } = harness.server.counters
  assert.deepEqual(
    [responses.Allocate?.[200], responses.Allocate?.[401], responses.CreatePermission?.[403]],
    [1, 1, 1],
  )
  assert.deepEqual([refusals.challenge, refusals['peer-special'], opened], [1, 1, 1])
  const refused = harness.events.filter((event) => event.kind === 'refused')
  assert.deepEqual(
    refused.map(({ method, code, reason }) => [method, code, reason]),
    [['CreatePermission', 403, 'peer-special']],
  )
})

/** Answers to whoever asks. */
const UNLIMITED = {
  unauthenticatedResponsesPerSecond: 1_000_000,
  unauthenticatedResponsesPerSecondPerAddress: 0,
}

/** Messages with well-formed headers and hostile insides, beside plain noise. */
const HOSTILE = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc
    .record({
      type: fc.constantFrom(0x0001, 0x0003, 0x0004, 0x0008, 0x0009, 0x0016, 0x0017, 0x000a, 0x0101, 0x0113),
      attributes: fc.array(
        fc.record({
          type: fc.constantFrom(...Object.values(ATTRIBUTE), 0x7f00, 0xff00),
          claimed: fc.integer({ min: -3, max: 300 }),
          value: fc.uint8Array({ maxLength: 40 }),
        }),
        { maxLength: 8 },
      ),
    })
    .map(({ type, attributes }) => {
      const parts = attributes.flatMap(({ type, claimed, value }) => {
        const length = claimed > 0 && claimed < 4 ? value.length + claimed : value.length
        return [
          type >> 8,
          type & 255,
          length >> 8,
          length & 255,
          ...value,
          ...new Array((4 - (value.length % 4)) % 4).fill(0),
        ]
      })
      return new Uint8Array([
        type >> 8,
        type & 255,
        parts.length >> 8,
        parts.length & 255,
        0x21,
        0x12,
        0xa4,
        0x42,
        ...new Array(12).fill(9),
        ...parts,
      ])
    }),
)

test('whatever comes in, nothing is thrown, every answer is well formed, nothing is held and the next client is served', () => {
  const { harness, client, relayed } = calling({ limits: UNLIMITED })
  fc.assert(
    fc.property(HOSTILE, fc.boolean(), (bytes, fromKnownClient) => {
      const sent = harness.fromClient(fromKnownClient ? client.from : '198.51.100.66:6666', bytes)
      assert.ok(sent === undefined || ['8.8.8.8:5000'].includes(sent.to) || sent.to.startsWith('9.9.9.9:'))
      for (const heard of harness.drain()) assert.ok(heard.bytes.length <= 3 * Math.max(bytes.length, 28))
      harness.fromPeer(relayed, '9.9.9.9:6000', Buffer.from(bytes).toString('latin1'))
    }),
    { numRuns: 3000 },
  )
  const { allocationCount, permissionCount, channelCount } = harness.server
  assert.deepEqual([allocationCount, permissionCount, channelCount], [1, 2, 1])
  assert.equal(client.refresh()?.code, 0)
})

test('RFC 8656 §21.3.1: 20,000 spoofed Allocates and Bindings leave no state', () => {
  const harness = new TurnHarness()
  for (let i = 0; i < 20_000; i++) {
    harness.fromClient(
      `198.51.${100 + (i >> 14)}.7:${(i % 60_000) + 1}`,
      request(i % 2 ? METHOD.Allocate : METHOD.Binding),
    )
    if (i % 100 === 0) harness.drain()
  }
  harness.drain()
  assert.equal(harness.server.allocationCount, 0)
  assert.equal(harness.server.pollTimeout(), Number.POSITIVE_INFINITY)
})

test('answers that nobody takes are dropped and counted, what closes a socket is not', () => {
  const harness = new TurnHarness({ limits: UNLIMITED })
  const client = harness.client()
  client.allocate()
  for (let i = 0; i < 20_000; i++) harness.fromClient('198.51.100.7:9', request(METHOD.Binding))
  assert.ok(harness.server.counters.drops['output-queue-full'] > 0)
  harness.server.closeAll('shutdown', harness.now)
  harness.drain()
  assert.equal(harness.bound.size, 0)
})

test('peers are told apart by number: an IPv6 and an IPv4 address with the same words are different', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate((writer) => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2))
  client.permit('8.8.8.8:1')
  assert.ok(client.send('8.8.8.8:5000', 'x'))
  assert.equal(client.send('[::808:808]:5000', 'x'), undefined)
  assert.ok(address('8.8.8.8:1').w3 === address('[::808:808]:1').w3)
})

test('a Send indication with 500 attributes is dropped, and the client goes on', () => {
  const { harness, client } = calling()
  const bytes = request(METHOD.CreatePermission, {
    user: USER,
    nonce: client.nonce,
    attributes: (writer) => {
      for (let i = 0; i < 150; i++) writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(`9.9.9.${i}:1`))
    },
  })
  harness.fromClient(client.from, bytes)
  assert.deepEqual(harness.drain(), [])
  assert.equal(
    hear(
      harness.fromPeer(
        [...harness.bound.values()].map((b) => `192.0.2.1:${b.port}`)[0]!,
        '9.9.9.9:6000',
        'x',
      )!.bytes,
    ).data,
    'x',
  )
})
