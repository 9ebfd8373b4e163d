import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, TurnHarness } from '../../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunWriter } from '../../stun/writer.ts'

function allocated(input: ConstructorParameters<typeof TurnHarness>[0] = {}) {
  const harness = new TurnHarness(input)
  const client = harness.client()
  const relayed = client.allocate()!.relayed![0]!
  return { harness, client, relayed }
}

const CASES: readonly [name: string, channel: number, peer: string, code: number][] = [
  ['the first number', 0x4000, '8.8.8.8:5000', 0],
  ['the last number', 0x4fff, '8.8.8.8:5000', 0],
  ['a number below the range', 0x3fff, '8.8.8.8:5000', 400],
  ['a number above the range', 0x5000, '8.8.8.8:5000', 400],
  ['a number of RFC 5766', 0x7fff, '8.8.8.8:5000', 400],
  ['a private peer', 0x4000, '10.0.0.1:5000', 403],
  ['a forbidden peer of another family', 0x4000, '[::1]:5000', 403],
  ['port 0', 0x4000, '8.8.8.8:0', 403],
  ['a privileged port', 0x4000, '8.8.8.8:53', 403],
  ['port 443', 0x4000, '8.8.8.8:443', 0],
  ['a peer of another family', 0x4000, '[2600::1]:5000', 443],
]
for (const [name, channel, peer, code] of CASES) {
  test(`RFC 8656 §12.2: ${name}: ${code || 'success'}`, () => {
    const { harness, client } = allocated()
    assert.equal(client.bind(channel, peer)?.code, code)
    const { channelCount, permissionCount } = harness.server
    assert.deepEqual([channelCount, permissionCount], code === 0 ? [1, 1] : [0, 0])
  })
}

const INCOMPLETE: readonly [name: string, attributes: (writer: StunWriter) => void][] = [
  ['without a channel', (writer) => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('8.8.8.8:5000'))],
  ['without a peer', (writer) => writer.addChannelNumber(0x4000)],
]
for (const [name, attributes] of INCOMPLETE) {
  test(`RFC 8656 §12.2: ChannelBind ${name} is answered 400`, () => {
    assert.equal(allocated().client.request(METHOD.ChannelBind, attributes)?.code, 400)
  })
}

test('RFC 8656 §12.2: a number or a peer that is bound otherwise is answered 400, the same binding refreshed', () => {
  const { client } = allocated()
  assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
  assert.equal(client.bind(0x4000, '9.9.9.9:5000')?.code, 400)
  assert.equal(client.bind(0x4000, '8.8.8.8:5001')?.code, 400)
  assert.equal(client.bind(0x4001, '8.8.8.8:5000')?.code, 400)
  assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
  assert.equal(client.bind(0x4001, '8.8.8.8:5001')?.code, 0)
})

test('RFC 8656 §12: a binding lasts 600 seconds, then number and peer are free', () => {
  const { harness, client, relayed } = allocated({ limits: { allocationLifetimeSeconds: 3600 } })
  client.bind(0x4000, '8.8.8.8:5000')
  harness.pass(301)
  assert.equal(client.channelData(0x4000, 'x'), undefined, 'the permission under it lasts 300')
  client.permit('8.8.8.8:1')
  assert.ok(client.channelData(0x4000, 'x'), 'CreatePermission refreshes what the channel rests on')
  assert.equal(harness.fromPeer(relayed, '8.8.8.8:5000', 'x')?.bytes[0], 0x40)
  harness.pass(299)
  assert.equal(client.channelData(0x4000, 'x'), undefined)
  assert.equal(harness.server.channelCount, 0)
  assert.equal(client.bind(0x4000, '9.9.9.9:5000')?.code, 0)
  assert.equal(client.bind(0x4001, '8.8.8.8:5000')?.code, 0)
})

test('Chrome binds every four minutes and sends nothing else: permission and channel hold', () => {
  const { harness, client } = allocated()
  for (let minutes = 0; minutes < 40; minutes += 4) {
    assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
    assert.equal(client.refresh()?.code, 0)
    harness.pass(240)
    assert.ok(client.channelData(0x4000, 'x'))
  }
})

test('RFC 8656 §12.2: over the limit of channels is answered 508', () => {
  const { client } = allocated({ limits: { channelsPerAllocation: 1 } })
  assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
  assert.equal(client.bind(0x4001, '8.8.8.8:5001')?.code, 508)
  assert.equal(client.bind(0x4000, '8.8.8.8:5000')?.code, 0)
})
