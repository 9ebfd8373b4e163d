import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, hasRightFingerprint } from '../support/stun-message.ts'
import { alternate, type Heard, TurnHarness } from '../support/turn-harness.ts'
import { Browser } from './browser.ts'
import { FIREFOX } from './packets.ts'

const PEER = '8.8.8.8:5000'
const HOUR_SECONDS = 3600
const PERMISSION_REFRESH_SECONDS = 290
/** Firefox refuses a shorter one. */
const LIFETIME_SECONDS_MIN = 11

const ok = (answer: Heard | undefined) => assert.equal(answer?.code, 0)
const isIndication = (bytes: Uint8Array | undefined) => bytes !== undefined && bytes[0]! < 0x40

test('Firefox asks for an hour and gets it, with a FINGERPRINT in every answer as in every request', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  assert.deepEqual([browser.allocate()?.code, browser.lifetimeSeconds], [0, 3600])
  for (const { bytes } of harness.heard) assert.ok(hasRightFingerprint(decode(Buffer.from(bytes))!))
})

test('Firefox refuses lifetimes of ten seconds and less: the defaults grant longer ones, drain or not', () => {
  const browser = new Browser(FIREFOX, new TurnHarness())
  ok(browser.allocate())
  assert.ok(browser.lifetimeSeconds >= LIFETIME_SECONDS_MIN)
  browser.place.harness.server.startDrain({ alternates: [] })
  assert.ok((browser.refresh()?.lifetime ?? 0) >= LIFETIME_SECONDS_MIN)
})

test('Firefox has no channels: everything goes and comes as indications', () => {
  const browser = new Browser(FIREFOX, new TurnHarness())
  ok(browser.allocate())
  ok(browser.permit(PEER))
  assert.deepEqual([browser.send(PEER, 'media')?.to, browser.send(PEER, '')?.to], [PEER, PEER])
  assert.ok(isIndication(browser.hear(PEER, 'media')?.bytes))
})

test('Firefox over four hours: a Refresh 10 s before expiry and permissions every 290 s keep the call', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  ok(browser.allocate())
  ok(browser.permit(PEER))
  let refreshAt = browser.lifetimeSeconds - 10
  let permitAt = PERMISSION_REFRESH_SECONDS
  for (let second = 1; second <= 4 * HOUR_SECONDS; second++) {
    harness.pass(1)
    if (second === refreshAt) {
      const answer = browser.refresh()
      ok(answer)
      refreshAt += (answer?.lifetime ?? 0) - 10
    }
    if (second === permitAt) {
      ok(browser.permit(PEER))
      permitAt += PERMISSION_REFRESH_SECONDS
    }
    if (second % 10 !== 0) continue
    assert.equal(browser.send(PEER, 'media')?.to, PEER, `up at ${second} s`)
    assert.ok(isIndication(browser.hear(PEER, 'media')?.bytes), `down at ${second} s`)
  }
  assert.ok(
    harness.heard.some(({ code }) => code === 438),
    'the nonce went stale on the way',
  )
})

test('Firefox refreshes late: fifteen seconds after the expiry the allocation is still there', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  ok(browser.allocate())
  harness.pass(browser.lifetimeSeconds + 15)
  ok(browser.refresh())
})

test('Firefox tries a transaction once more after 438: the new nonce is good at once', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  ok(browser.allocate())
  for (const nonce of ['made up', '']) {
    browser.nonce = nonce || browser.nonce
    harness.pass(nonce === '' ? 0 : HOUR_SECONDS / 2)
    ok(browser.refresh())
  }
})

/** Candidates that a page may hand to Firefox and that no relay should reach. */
const DENIED = [
  '10.0.0.3:50000',
  '172.17.0.1:50000',
  '192.168.1.17:50000',
  '100.64.0.9:50000',
  '169.254.169.254:80',
  '127.0.0.1:50000',
  '0.0.0.0:9',
  '224.0.0.251:5353',
  '255.255.255.255:9',
  // Private ones of the family that the allocation does not have.
  '[fd00::17]:50000',
  '[fe80::17]:50000',
  '[::1]:50000',
  '[::ffff:10.0.0.3]:50000',
]

for (const peer of DENIED) {
  test(`Firefox bears no refusal but 403: permission for ${peer}`, () => {
    const harness = new TurnHarness()
    const browser = new Browser(FIREFOX, harness)
    ok(browser.allocate())
    ok(browser.permit(PEER))
    assert.equal(browser.permit(peer)?.code, 403)
    assert.equal(browser.send(PEER, 'media')?.to, PEER)
    assert.equal(harness.server.allocationCount, 1)
  })
}

test('Firefox may be the peer of another client of the relay, so that its address is permitted; its listener is not reached', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  const other = new Browser(FIREFOX, harness, '198.51.100.8:4000')
  ok(browser.allocate())
  ok(other.allocate())
  ok(browser.permit(other.relayed!))
  ok(other.permit(browser.relayed!))
  assert.notEqual(browser.send(other.relayed!, 'check'), undefined)
  assert.equal(browser.send('192.0.2.1:3478', 'check'), undefined)
})

test('RFC 8656 §10.2: a public peer of the other family is 443; browsers pair candidates of one family only', () => {
  const browser = new Browser(FIREFOX, new TurnHarness())
  ok(browser.allocate())
  assert.equal(browser.permit('[2a00::1]:50000')?.code, 443)
})

test('Firefox follows a 300, over TCP by a new connection, to an address of its family', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  harness.server.startDrain({
    alternates: [alternate('[2001:db8::9]:3478'), alternate('203.0.113.9:3478')],
  })
  for (const [from, link] of [
    ['198.51.100.7:4001', 1],
    ['198.51.100.7:4000', 2],
  ] as const) {
    const answer = new Browser(FIREFOX, harness, from, link).allocate()
    assert.deepEqual([answer?.code, answer?.alternate], [300, '203.0.113.9:3478'])
  }
})

test('Firefox deletes its allocation with a Refresh of 0 when it closes', () => {
  const harness = new TurnHarness()
  const browser = new Browser(FIREFOX, harness)
  ok(browser.allocate())
  assert.equal(browser.refresh(0)?.lifetime, 0)
  assert.equal(harness.server.allocationCount, 0)
})
