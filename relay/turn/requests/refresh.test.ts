import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'

const family = (value: number) => (writer: { addFirstByte(type: number, value: number): unknown }) => {
  writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, value)
}

test('RFC 8656 §8.2: Refresh extends the allocation, again and again', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  for (let i = 0; i < 5; i++) {
    harness.pass(590)
    assert.equal(client.refresh()?.lifetime, 600)
  }
  harness.pass(640)
  assert.equal(client.refresh()?.code, 437)
})

test('RFC 8656 §8.2: LIFETIME 0 ends the allocation; its retransmission is answered 437', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  client.bind(0x4000, '8.8.8.8:5000')
  assert.equal(client.refresh(0)?.lifetime, 0)
  assert.equal(client.refresh(0)?.code, 437)
  const { allocationCount, permissionCount, channelCount } = harness.server
  assert.deepEqual([allocationCount, permissionCount, channelCount], [0, 0, 0])
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.equal(closed?.reason, 'refresh-zero')
})

const LIFETIMES: readonly [asked: number, granted: number][] = [
  [1, 600],
  [1200, 1200],
  [0xffffffff, 3600],
]
for (const [asked, granted] of LIFETIMES) {
  test(`RFC 8656 §8.2: LIFETIME ${asked} is granted as ${granted}`, () => {
    const client = new TurnHarness().client()
    client.allocate()
    assert.equal(client.refresh(asked)?.lifetime, granted)
  })
}

const CASES: readonly [name: string, value: number, code: number][] = [
  ['of the allocation', 1, 0],
  ['of another family', 2, 443],
  ['that does not exist', 9, 443],
]
for (const [name, value, code] of CASES) {
  test(`RFC 8656 §8.2: Refresh with a family ${name}: ${code || 'success'}`, () => {
    const client = new TurnHarness().client()
    client.allocate()
    assert.equal(client.request(METHOD.Refresh, family(value))?.code, code)
  })
}

test('RFC 8656 §8.2: one family of a dual allocation may be given back, the other goes on', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  const answer = client.allocate((writer) => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2))
  assert.equal(client.permit('8.8.8.8:1', '[2600::1]:1')?.code, 0)
  client.request(METHOD.Refresh, (writer) => {
    family(1)(writer)
    writer.addUint32(ATTRIBUTE.Lifetime, 0)
  })
  assert.equal(harness.server.allocationCount, 1)
  assert.equal(client.send('8.8.8.8:5000', 'x'), undefined)
  assert.equal(client.send('[2600::1]:5000', 'x')?.target, 'peer')
  assert.equal(harness.fromPeer(answer!.relayed![1]!, '[2600::1]:5000', 'x')?.target, 'client')
  assert.equal(harness.bound.size, 1)
})

test('a client that refreshes at the last moment keeps its call, one that is half a minute late does not', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  harness.pass(615)
  assert.equal(client.refresh()?.code, 0)
  harness.pass(631)
  assert.equal(client.refresh()?.code, 437)
})

test('a request without an allocation is answered 437 (RFC 8656 §5)', () => {
  for (const method of [METHOD.Refresh, METHOD.CreatePermission, METHOD.ChannelBind]) {
    assert.equal(new TurnHarness().client().request(method)?.code, 437)
  }
})

test('a refresh is told with its lifetime and traffic while somebody asks, and costs no event otherwise', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  client.refresh(700)
  assert.ok(!harness.kinds().includes('allocation-refreshed'))
  harness.server.setObserved(true)
  client.permit('8.8.8.8:1')
  client.send('8.8.8.8:5000', 'four')
  client.refresh(700)
  client.refresh(0)
  const told = harness.events.flatMap((event) => (event.kind === 'allocation-refreshed' ? [event] : []))
  assert.deepEqual(
    told.map(({ lifetimeSeconds, clientBytes, allocation }) => [
      lifetimeSeconds,
      clientBytes,
      allocation.username,
    ]),
    [[700, 4, 'alice']],
  )
})
