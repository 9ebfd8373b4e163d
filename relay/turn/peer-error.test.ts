import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, hear, TurnHarness } from '../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { StunReader } from '../stun/reader.ts'

interface IcmpError {
  peer?: string
  type?: number
  code?: number
  mtu?: number
  relay?: number
}

/** A dual allocation with permissions for one peer of each family. */
function calling(input: ConstructorParameters<typeof TurnHarness>[0] = {}): TurnHarness {
  const harness = new TurnHarness(input)
  const client = harness.client()
  client.allocate((writer) => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2))
  client.permit('8.8.8.8:1', '[2600::8]:1')
  return harness
}

function report(harness: TurnHarness, error: IcmpError = {}): Uint8Array | undefined {
  const { peer = '8.8.8.8:5000', type = 3, code = 3, mtu = 0, relay = 1 } = error
  harness.server.handlePeerError(relay, address(peer), type, code, mtu, harness.now)
  return harness.drain()[0]?.bytes
}

function icmp(bytes: Uint8Array): string {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return Buffer.from(reader.value(reader.find(ATTRIBUTE.Icmp))).toString('hex')
}

const TOLD: readonly [name: string, error: IcmpError, icmp: string][] = [
  ['port unreachable', {}, '0000030300000000'],
  ['fragmentation needed, with the MTU', { code: 4, mtu: 1400 }, '0000030400000578'],
  ['time exceeded', { type: 11, code: 0, mtu: 99 }, '00000b0000000000'],
  ['a peer whose port is not known', { peer: '8.8.8.8:0' }, '0000030300000000'],
  ['IPv6 unreachable', { peer: '[2600::8]:5000', relay: 2, type: 1, code: 4 }, '0000010400000000'],
  [
    'IPv6 packet too big',
    { peer: '[2600::8]:5000', relay: 2, type: 2, code: 0, mtu: 1280 },
    '0000020000000500',
  ],
]
for (const [name, error, value] of TOLD) {
  test(`RFC 8656 §11.5, §18.13: the client is told of ${name}`, () => {
    const bytes = report(calling(), error)
    assert.ok(bytes)
    assert.equal(icmp(bytes), value)
    const heard = hear(bytes)
    assert.deepEqual(
      [heard.method, heard.peer, heard.data],
      ['Data', error.peer ?? '8.8.8.8:5000', undefined],
    )
  })
}

const UNTOLD: readonly [
  name: string,
  error: IcmpError,
  drop: 'unsupported' | 'no-permission' | 'no-allocation',
][] = [
  ['echo', { type: 8 }, 'unsupported'],
  ['redirect', { type: 5 }, 'unsupported'],
  ['IPv6 type 4', { peer: '[2600::8]:5000', relay: 2, type: 4 }, 'unsupported'],
  ['an address without permission', { peer: '9.9.9.9:5000' }, 'no-permission'],
  ['a relay socket that is gone', { relay: 99 }, 'no-allocation'],
]
for (const [name, error, drop] of UNTOLD) {
  test(`RFC 8656 §11.5: an ICMP error is dropped: ${name}`, () => {
    const harness = calling()
    assert.equal(report(harness, error), undefined)
    assert.equal(harness.server.counters.drops[drop], 1)
  })
}

test('RFC 8656 §11.5: an ICMP error is dropped once the permission has expired', () => {
  const harness = calling()
  harness.pass(301)
  assert.equal(report(harness), undefined)
})

test('a flood of ICMP errors stops at the allocation’s packet rate, and the allocation lives on', () => {
  const harness = calling({ limits: { packetsPerSecondPerAllocation: 10 } })
  const told = Array.from({ length: 30 }, () => report(harness)).filter(Boolean)
  assert.equal(told.length, 10)
  assert.equal(harness.server.counters.drops['rate-limit'], 20)
  assert.equal(harness.server.allocationCount, 1)
})
