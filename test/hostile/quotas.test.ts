import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import { ATTRIBUTES_MAX } from '../../relay/stun/reader.ts'
import type { StunWriter } from '../../relay/stun/writer.ts'
import { address, EPOCH_SECONDS, OTHER_USER, TurnHarness } from '../support/turn-harness.ts'

const CYCLES = 100
const FEW_PORTS = {
  relay: {
    addresses: [{ advertise: '192.0.2.1' }, { advertise: '2001:db8::1' }],
    ports: { min: 50_000, max: 50_003 },
  },
}

const WISHES: readonly [name: string, attributes: (writer: StunWriter) => unknown][] = [
  [
    'coturn 4adbd82e: EVEN-PORT without a reservation',
    (w) => w.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(0)),
  ],
  ['EVEN-PORT with a reservation', (w) => w.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(0x80))],
  ['both families', (w) => w.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2)],
  ['any port', () => undefined],
]
for (const [name, wish] of WISHES) {
  for (const fails of [false, true]) {
    test(`${name}: no port is lost in ${CYCLES} allocations that ${fails ? 'cannot be bound' : 'end'}`, () => {
      const harness = new TurnHarness({ ...FEW_PORTS, limits: { allocations: 4 } })
      const client = harness.client()
      for (let i = 0; i < CYCLES; i++) {
        harness.onBind = () => (fails ? 'port-in-use' : undefined)
        assert.equal(client.allocate((writer) => void wish(writer))?.code, fails ? 508 : 0, `cycle ${i}`)
        if (!fails) client.refresh(0)
        harness.pass(31)
      }
      harness.onBind = () => undefined
      const codes = [1, 2, 3, 4, 5].map((port) => harness.client(`198.51.100.9:${port}`).allocate()?.code)
      assert.deepEqual(codes, [0, 0, 0, 0, 508])
    })
  }
}

test('RFC 8656 §8.2: nothing of an allocation that ended reaches the next one on the same 5-tuple', () => {
  const harness = new TurnHarness(FEW_PORTS)
  const client = harness.client()
  client.allocate()
  client.permit('9.9.9.9:1')
  client.bind(0x4000, '8.8.8.8:5000')
  client.refresh(0)
  assert.deepEqual([harness.server.permissionCount, harness.server.channelCount], [0, 0])
  const next = client.allocate(undefined, { user: OTHER_USER })!.relayed![0]!
  assert.equal(client.channelData(0x4000, 'x'), undefined)
  assert.equal(client.send('9.9.9.9:6000', 'x'), undefined)
  assert.equal(harness.fromPeer(next, '8.8.8.8:5000', 'x'), undefined)
})

test('coturn 3c5b2615: a user cannot pass the quota by credentials that differ in their expiry', () => {
  const harness = new TurnHarness({
    credentials: { keys: [{ id: 'k', secret: 's' }] },
    limits: { allocationsPerUser: 2 },
  })
  const codes = [1, 2, 3].map((hour) => {
    const username = `${EPOCH_SECONDS + hour * 3600}:carol`
    const password = createHmac('sha1', 's').update(username).digest('base64')
    return harness.client(`198.51.100.7:${hour}`).allocate(undefined, { user: { username, password } })?.code
  })
  assert.deepEqual(codes, [0, 0, 486])
})

test('RFC 8656 §7.2: another user’s reservation is out of reach', () => {
  const harness = new TurnHarness()
  const { token } = harness
    .client()
    .allocate((w) => void w.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(0x80)))!
  const steal = harness
    .client('198.51.100.8:1')
    .allocate((writer) => void writer.addBytes(ATTRIBUTE.ReservationToken, token!), { user: OTHER_USER })
  assert.equal(steal?.code, 508)
  assert.equal(harness.server.reservationCount, 1)
})

test('ChannelBind does not pass the limit of permissions', () => {
  const client = new TurnHarness({
    limits: { permissionsPerAllocation: 2, channelsPerAllocation: 9 },
  }).client()
  client.allocate()
  const codes = [1, 2, 3].map((i) => client.bind(0x4000 + i, `8.8.8.${i}:5000`)?.code)
  assert.deepEqual(codes, [0, 0, 508])
})

test('RFC 8656 §10.2: as many peers as a message may carry are one request, one more are none', () => {
  const harness = new TurnHarness({ limits: { newPeersPerSecondPerAllocation: 0 } })
  const client = harness.client()
  client.allocate()
  const many = (count: number) =>
    client.request(METHOD.CreatePermission, (writer) => {
      for (let i = 0; i < count; i++) writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(`8.8.${i}.8:1`))
    })
  const besides = 4
  assert.equal(many(ATTRIBUTES_MAX - besides)?.code, 0)
  assert.equal(many(ATTRIBUTES_MAX - besides + 1), undefined)
  assert.equal(harness.server.permissionCount, ATTRIBUTES_MAX - besides)
})

test('an allocation that is never refreshed ends with all it holds, however much data it carries', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  for (let minute = 0; minute < 9; minute++) {
    client.permit('8.8.8.8:1')
    harness.pass(60)
    assert.ok(client.send('8.8.8.8:5000', 'x'))
  }
  harness.pass(91)
  assert.deepEqual([harness.server.allocationCount, harness.server.permissionCount], [0, 0])
  assert.equal(harness.bound.size, 0)
})
