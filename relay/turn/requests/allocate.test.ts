import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, TurnHarness } from '../../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../../api/config.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunWriter } from '../../stun/writer.ts'

const V4_ONLY: Partial<RelayConfigInput> = {
  relay: { addresses: [{ advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_999 } },
}
const V6_ONLY: Partial<RelayConfigInput> = {
  relay: { addresses: [{ advertise: '2001:db8::1' }], ports: { min: 50_000, max: 50_999 } },
}
const family = (value: number) => (writer: StunWriter) =>
  writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, value)
const additional = (value: number) => (writer: StunWriter) =>
  writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, value)
const even = (reserve: boolean) => (writer: StunWriter) => writer.addEvenPort(reserve)
const token = (value: Uint8Array) => (writer: StunWriter) =>
  writer.addBytes(ATTRIBUTE.ReservationToken, value)

test('RFC 8656 §7.2: success carries relayed and mapped address and the default lifetime', () => {
  const harness = new TurnHarness()
  const answer = harness.client().allocate()
  assert.equal(answer?.code, 0)
  assert.equal(answer.authentic, true)
  assert.match(answer.relayed?.join() ?? '', /^192\.0\.2\.1:50\d\d\d$/)
  assert.equal(answer.mapped, '198.51.100.7:4000')
  assert.equal(answer.lifetime, 600)
  assert.deepEqual(harness.kinds(), ['bind-relay', 'allocation-opened'])
})

test('RFC 8656 §7.2: success is not told before the relay socket is bound', () => {
  const harness = new TurnHarness()
  harness.onBind = () => 'pending'
  const client = harness.client()
  assert.equal(client.allocate(), undefined)
  const bind = harness.events.find((event) => event.kind === 'bind-relay')
  assert.ok(bind)
  harness.server.relayBound(bind.relay, harness.now)
  assert.equal(harness.drain()[0]?.code, 0)
})

test('RFC 8656 §7.2: a retransmission gets the same success and makes no second allocation, also while the socket is being bound', () => {
  const harness = new TurnHarness()
  harness.onBind = () => 'pending'
  const client = harness.client()
  const id = new Uint8Array(12).fill(7)
  client.allocate(undefined, { id })
  assert.equal(client.allocate(undefined, { id }), undefined)
  assert.deepEqual(harness.kinds(), ['bind-relay'])
  harness.server.relayBound(1, harness.now)
  const [first] = harness.drain()
  const again = client.allocate(undefined, { id })
  assert.deepEqual(again?.bytes, first?.bytes)
  assert.equal(harness.server.allocationCount, 1)
})

test('RFC 8656 §7.2: another Allocate on the 5-tuple is a mismatch, bound or not', () => {
  const harness = new TurnHarness()
  harness.onBind = () => 'pending'
  const client = harness.client()
  client.allocate()
  assert.equal(client.allocate()?.code, 437)
  harness.server.relayBound(1, harness.now)
  harness.drain()
  assert.equal(client.allocate()?.code, 437)
})

const CASES: readonly [
  name: string,
  attributes: (writer: StunWriter) => void,
  code: number,
  input?: Partial<RelayConfigInput>,
][] = [
  ['step 7: IPv4 asked for', family(1), 0],
  ['step 7: IPv6 asked for', family(2), 0],
  ['step 7: IPv6 asked for and not there', family(2), 440, V4_ONLY],
  ['step 7: IPv4 asked for and not there', family(1), 440, V6_ONLY],
  ['step 7: a family that does not exist', family(3), 440],
  [
    'step 7: a family of the wrong length',
    (writer) => writer.addBytes(ATTRIBUTE.RequestedAddressFamily, new Uint8Array(1)),
    400,
  ],
  ['step 7: no family asked for, no IPv4, IPv4 listener', () => undefined, 440, V6_ONLY],
  ['step 6: both family attributes', (writer) => additional(2)(family(1)(writer)), 400],
  ['step 9: an additional IPv4', additional(1), 400],
  ['step 9: an additional IPv6', additional(2), 0],
  ['step 9: an additional IPv6, not there', additional(2), 0, V4_ONLY],
  ['step 9: an additional IPv6, and no IPv4', additional(2), 0, V6_ONLY],
  ['step 9: an additional family that does not exist', additional(3), 400],
  ['step 4: DONT-FRAGMENT without support', (writer) => writer.addFlag(ATTRIBUTE.DontFragment), 420],
  ['step 8: EVEN-PORT', even(false), 0],
  ['step 8: EVEN-PORT with reservation', even(true), 0],
  [
    'step 8: EVEN-PORT with reservation and a second family',
    (writer) => additional(2)(even(true)(writer)),
    400,
  ],
  ['step 8: EVEN-PORT of the wrong length', (writer) => writer.addUint32(ATTRIBUTE.EvenPort, 0), 400],
  ['step 5: an unknown token', token(new Uint8Array(8)), 508],
  ['step 5: a token of the wrong length', token(new Uint8Array(7)), 400],
  ['step 5: a token and EVEN-PORT', (writer) => even(false)(token(new Uint8Array(8))(writer)), 400],
  ['step 5: a token and a family', (writer) => family(1)(token(new Uint8Array(8))(writer)), 400],
  ['LIFETIME of the wrong length', (writer) => writer.addBytes(ATTRIBUTE.Lifetime, new Uint8Array(3)), 400],
]
for (const [name, attributes, code, input] of CASES) {
  test(`RFC 8656 §7.2 ${name}: ${code || 'success'}`, () => {
    const harness = new TurnHarness(input)
    assert.equal(harness.client().allocate(attributes)?.code, code)
    assert.equal(harness.server.allocationCount, code === 0 ? 1 : 0)
  })
}

const TRANSPORTS: readonly [name: string, attributes: (writer: StunWriter) => void, code: number][] = [
  ['none', () => undefined, 400],
  ['of the wrong length', (writer) => writer.addBytes(ATTRIBUTE.RequestedTransport, new Uint8Array(1)), 400],
  ['TCP', (writer) => writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6), 442],
]
for (const [name, attributes, code] of TRANSPORTS) {
  test(`RFC 8656 §7.2 step 3: REQUESTED-TRANSPORT ${name}: ${code}`, () => {
    assert.equal(new TurnHarness().client().request(METHOD.Allocate, attributes)?.code, code)
  })
}

const LIFETIMES: readonly [asked: number, granted: number][] = [
  [0, 600],
  [1, 600],
  [600, 600],
  [1200, 1200],
  [3600, 3600],
  [7200, 3600],
  [0xffffffff, 3600],
]
for (const [asked, granted] of LIFETIMES) {
  test(`RFC 8656 §7.2: LIFETIME ${asked} is granted as ${granted}`, () => {
    assert.equal(
      new TurnHarness().client().allocate((writer) => writer.addUint32(ATTRIBUTE.Lifetime, asked))?.lifetime,
      granted,
    )
  })
}

test('browsers ask for no family: it follows the listener where the relay has it', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'udp', '[2001:db8::1]:3478')
  assert.match(harness.client('[2001:db8::7]:4000', 2).allocate()?.relayed?.join() ?? '', /^\[2001:db8::1]/)
  const narrow = new TurnHarness(V4_ONLY)
  narrow.addLink(2, 'udp', '[2001:db8::1]:3478')
  assert.match(narrow.client('[2001:db8::7]:4000', 2).allocate()?.relayed?.join() ?? '', /^192\.0\.2\.1/)
})

test('RFC 8656 §7.2 step 9: a dual allocation has an address of each family', () => {
  const answer = new TurnHarness().client().allocate(additional(2))
  assert.deepEqual(
    answer?.relayed?.map((text) => address(text).family),
    [4, 6],
  )
})

test('RFC 8656 §7.2 step 9: a second family whose socket cannot be bound is told in the success', () => {
  const harness = new TurnHarness()
  harness.onBind = (bind) => (bind.family === 6 ? 'unavailable' : undefined)
  const answer = harness.client().allocate(additional(2))
  assert.equal(answer?.code, 0)
  assert.deepEqual(
    answer.relayed?.map((text) => address(text).family),
    [4],
  )
  assert.ok(
    Buffer.from(answer.bytes).toString('hex').includes('8001000402000508'),
    'ADDRESS-ERROR-CODE: IPv6, 508',
  )
})

test('RFC 8656 §7.2: EVEN-PORT reserves the next port for the same user for 30 seconds', () => {
  const harness = new TurnHarness({ limits: { allocations: 2 } })
  const first = harness.client().allocate(even(true))
  assert.ok(first?.token)
  assert.equal(address(first.relayed![0]!).port % 2, 0)
  assert.equal(harness.client('198.51.100.7:4001').allocate()?.code, 508, 'the reservation counts')
  const second = harness.client('198.51.100.7:4002').allocate(token(first.token))
  assert.equal(address(second!.relayed![0]!).port, address(first.relayed![0]!).port + 1)
  assert.equal(
    harness.client('198.51.100.7:4003').allocate(token(first.token))?.code,
    508,
    'a token is used once',
  )
})

test('RFC 8656 §7.2: a reservation that nobody redeems is given back', () => {
  const harness = new TurnHarness({ limits: { allocations: 2 } })
  const first = harness.client().allocate(even(true))
  harness.pass(31)
  assert.equal(harness.server.reservationCount, 0)
  assert.equal(harness.client('198.51.100.7:4001').allocate(token(first!.token!))?.code, 508)
  assert.equal(harness.client('198.51.100.7:4001').allocate()?.code, 0)
})

test('RFC 8656 §7.2 step 10: a user over the quota is answered 486, a full relay 508, and freed places are used again', () => {
  const harness = new TurnHarness({ limits: { allocations: 3, allocationsPerUser: 2 } })
  const [a, b, c, d] = [1, 2, 3, 4].map((port) => harness.client(`198.51.100.7:${port}`))
  const bob = { username: 'bob', password: 'builder' }
  const asBob = (client = c!) => client.allocate(undefined, { user: bob })?.code
  assert.deepEqual([a!.allocate()?.code, b!.allocate()?.code, c!.allocate()?.code], [0, 0, 486])
  assert.deepEqual([asBob(), d!.allocate()?.code, asBob(d)], [0, 508, 508])
  assert.equal(a!.refresh(0)?.code, 0)
  assert.equal(a!.allocate()?.code, 0)
})

test('an address over its quota is answered 486: an IPv6 client counts by its /64, a moved or ended one gives back', () => {
  const harness = new TurnHarness({ limits: { allocationsPerAddress: 2 } })
  harness.addLink(2, 'udp', '[2001:db8::1]:3478')
  const codes = (...froms: string[]) =>
    froms.map((from) => harness.client(from, from.startsWith('[') ? 2 : 1).allocate()?.code)
  assert.deepEqual(codes('198.51.100.7:1', '198.51.100.7:2', '198.51.100.7:3'), [0, 0, 486])
  assert.deepEqual(codes('198.51.100.8:1', '198.51.100.9:1'), [0, 0])
  assert.deepEqual(codes('[2600:1:2:3::1]:1', '[2600:1:2:3:ffff::2]:1', '[2600:1:2:3::9]:1'), [0, 0, 486])
  assert.deepEqual(codes('[2600:1:2:4::1]:1'), [0])
  assert.equal(harness.server.counters.refusals['address-quota'], 2)
  assert.equal(harness.client('198.51.100.7:1').refresh(0)?.code, 0)
  assert.deepEqual(codes('198.51.100.7:3', '198.51.100.7:4'), [0, 486])
})

test('allocationsPerAddress: 0 turns that limit off', () => {
  const harness = new TurnHarness({ limits: { allocationsPerAddress: 0 } })
  for (const port of [1, 2, 3]) assert.equal(harness.client(`198.51.100.7:${port}`).allocate()?.code, 0)
})

test('a relay without a free port answers 508', () => {
  const harness = new TurnHarness({
    relay: { addresses: [{ advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_001 } },
  })
  const codes = [1, 2, 3].map((port) => harness.client(`198.51.100.7:${port}`).allocate()?.code)
  assert.deepEqual(codes, [0, 0, 508])
})

test('peers see the advertised address where another one is bound', () => {
  const harness = new TurnHarness({
    relay: { addresses: [{ bind: '10.0.0.5', advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_999 } },
  })
  const answer = harness.client().allocate()
  const [bind] = harness.bound.values()
  assert.match(answer?.relayed?.join() ?? '', /^192\.0\.2\.1:/)
  assert.ok(bind?.sameIp(address('10.0.0.5:0')))
})

test('RFC 8656 §7.2: a pair whose socket cannot be bound gives both ports back', () => {
  const harness = new TurnHarness({
    relay: { addresses: [{ advertise: '192.0.2.1' }], ports: { min: 50_000, max: 50_001 } },
  })
  harness.onBind = () => 'unavailable'
  assert.equal(harness.client().allocate(even(true))?.code, 508)
  assert.equal(harness.server.reservationCount, 0)
  harness.onBind = () => undefined
  const codes = [1, 2].map((port) => harness.client(`198.51.100.7:${port}`).allocate()?.code)
  assert.deepEqual(codes, [0, 0])
})

test('a user who has one place left cannot reserve a second port, and keeps the place', () => {
  const harness = new TurnHarness({ limits: { allocationsPerUser: 1 } })
  const client = harness.client()
  assert.equal(client.allocate(even(true))?.code, 486)
  assert.equal(client.allocate()?.code, 0)
})
