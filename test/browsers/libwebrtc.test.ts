import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { attributeOf, decode } from '../support/stun-message.ts'
import { address, alternate, type Heard, TurnHarness } from '../support/turn-harness.ts'
import { Browser } from './browser.ts'
import { CAPTURED } from './captured.ts'
import { LIBWEBRTC, LIBWEBRTC_WITH_LOGGING_ID, SAFARI } from './packets.ts'

const PEER = '8.8.8.8:5000'
const OTHER_PEER = '9.9.9.9:5000'
const MINUTE_SECONDS = 60
const HOUR_SECONDS = 3600

const ok = (answer: Heard | undefined) => assert.equal(answer?.code, 0)
const kindOf = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? 'nothing' : bytes[0]! >= 0x40 ? 'channel' : 'data'

test('Chrome sends a Binding without attributes first, and is told its address', () => {
  const browser = new Browser(LIBWEBRTC, new TurnHarness())
  const answer = browser.say(Buffer.from(CAPTURED.chromium.binding, 'hex'))
  assert.deepEqual([answer?.code, answer?.mapped], [0, '198.51.100.7:4000'])
})

for (const packets of [LIBWEBRTC, LIBWEBRTC_WITH_LOGGING_ID, SAFARI]) {
  test(`${packets.name}: an Allocate with REQUESTED-TRANSPORT only gets 401, then an allocation of ten minutes`, () => {
    const harness = new TurnHarness()
    const browser = new Browser(packets, harness)
    const answer = browser.allocate()
    assert.deepEqual([answer?.code, answer?.lifetime, answer?.authentic], [0, 600, true])
    assert.match(answer?.relayed?.join() ?? '', /^192\.0\.2\.1:/)
    assert.equal(harness.heard[0]?.code, 401)
    assert.ok(harness.heard[0]?.realm && harness.heard[0].nonce)
  })

  for (const transport of ['tcp', 'tls'] as const) {
    test(`${packets.name} over ${transport}: the same, and ChannelData is padded both ways`, () => {
      const harness = new TurnHarness()
      const from = '198.51.100.7:4000'
      harness.addLink(2, transport, '192.0.2.1:443', from)
      const browser = new Browser(packets, harness, from, 2)
      ok(browser.allocate())
      ok(browser.permit(PEER))
      ok(browser.bind(0x4000, PEER))
      const up = browser.sendChannel(0x4000, 'hello', 3)
      assert.equal(Buffer.from(up!.bytes).toString(), 'hello')
      assert.equal(browser.hear(PEER, 'hello')?.bytes.length, 4 + 8)
    })
  }
}

test('Chrome asks for no family: an IPv6 listener gives it an IPv6 relay where there is one', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'udp', '[2001:db8::1]:3478')
  const browser = new Browser(LIBWEBRTC, harness, '[2001:db8::7]:4000', 2)
  assert.match(browser.allocate()?.relayed?.join() ?? '', /^\[2001:db8::1\]:/)
})

test('Chrome does not survive a 438 on Allocate: the nonce of one relay holds on every relay of the fleet', () => {
  const first = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, first)
  browser.nonce = browser.say(LIBWEBRTC.allocate(new Uint8Array(12)))?.nonce ?? ''
  const second = new TurnHarness()
  browser.place = { ...browser.place, harness: second }
  ok(browser.allocateAgain())
})

test('… and holds while the keys of nonces rotate, in either order of relays', () => {
  const old = { id: 'n1', secret: 'nonce secret' }
  const next = { id: 'n2', secret: 'next nonce secret' }
  for (const [issuer, judge] of [
    [[old], [next, old]],
    [
      [next, old],
      [old, next],
    ],
  ]) {
    const browser = new Browser(LIBWEBRTC, new TurnHarness({ nonceKeys: issuer }))
    browser.nonce = browser.say(LIBWEBRTC.allocate(new Uint8Array(12)))?.nonce ?? ''
    browser.place = { ...browser.place, harness: new TurnHarness({ nonceKeys: judge }) }
    ok(browser.allocateAgain())
  }
})

test('Chrome takes a second 401 as final: one challenge suffices, and a wrong password is 401 and nothing else', () => {
  const harness = new TurnHarness()
  ok(new Browser(LIBWEBRTC, harness).allocate())
  assert.deepEqual(
    harness.heard.map(({ code }) => code),
    [401, 0],
  )
  const stranger = new Browser(LIBWEBRTC, harness, '198.51.100.8:4000')
  stranger.user = { username: 'alice', password: 'wrong' }
  assert.equal(stranger.allocate()?.code, 401)
})

test('Chrome takes a new socket after 437, and is served there', () => {
  const harness = new TurnHarness()
  ok(new Browser(LIBWEBRTC, harness).allocate())
  const again = new Browser(LIBWEBRTC, harness)
  assert.equal(again.allocate()?.code, 437)
  ok(new Browser(LIBWEBRTC, harness, '198.51.100.7:4001').allocate())
})

test('Chrome follows a 300 on Allocate only, to an address of its family: a drain redirects it at once', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'udp', '[2001:db8::1]:3478')
  const live = new Browser(LIBWEBRTC, harness)
  ok(live.allocate())
  ok(live.permit(PEER))
  const alternates = [alternate('203.0.113.9:3478'), alternate('[2001:db8::9]:3478')]
  harness.server.startDrain({ alternates })
  const v4 = new Browser(LIBWEBRTC, harness, '198.51.100.9:4000').allocate()
  assert.deepEqual([v4?.code, v4?.alternate], [300, '203.0.113.9:3478'])
  const v6 = new Browser(LIBWEBRTC, harness, '[2001:db8::7]:4000', 2).allocate()
  assert.deepEqual([v6?.code, v6?.alternate], [300, '[2001:db8::9]:3478'])
  ok(live.refresh())
  ok(live.permit(OTHER_PEER))
  ok(live.bind(0x4000, PEER))
})

test('Chrome cannot follow an address over TLS: a drain answers 508 there, not 300', () => {
  const harness = new TurnHarness()
  harness.addLink(2, 'tls', '192.0.2.1:443', '198.51.100.7:4000')
  harness.server.startDrain({ alternates: [alternate('203.0.113.9:3478')] })
  assert.equal(new Browser(LIBWEBRTC, harness, '198.51.100.7:4000', 2).allocate()?.code, 508)
})

test('Chrome sends Refresh(0) once when it closes: the port and the quota are free again', () => {
  const harness = new TurnHarness({ limits: { allocationsPerUser: 1 } })
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  const { code, lifetime } = browser.refresh(0)!
  assert.deepEqual([code, lifetime], [0, 0])
  assert.equal(harness.server.allocationCount, 0)
  assert.ok(harness.kinds().includes('close-relay'))
  ok(new Browser(LIBWEBRTC, harness, '198.51.100.7:4001').allocate())
})

test('Chrome asks permission for every remote candidate: a private one is 403, and the pair beside it goes on', () => {
  const harness = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  ok(browser.permit(PEER))
  for (const peer of ['192.168.1.17:50000', '10.0.0.3:50000', '172.17.0.1:50000']) {
    assert.equal(browser.permit(peer)?.code, 403)
    assert.equal(browser.send(peer, 'check'), undefined)
  }
  assert.equal(browser.send(PEER, 'check')?.to, PEER)
  assert.equal(harness.server.allocationCount, 1)
})

test('Chrome sends indications until its channel is bound: nothing is lost when it changes over', () => {
  const browser = new Browser(LIBWEBRTC, new TurnHarness())
  ok(browser.allocate())
  ok(browser.permit(PEER))
  assert.equal(browser.send(PEER, 'check')?.to, PEER)
  assert.equal(kindOf(browser.hear(PEER, 'check')?.bytes), 'data')
  ok(browser.bind(0x4000, PEER))
  assert.equal(browser.send(PEER, 'late indication')?.to, PEER)
  assert.equal(browser.sendChannel(0x4000, 'media')?.to, PEER)
  assert.equal(kindOf(browser.hear(PEER, 'media')?.bytes), 'channel')
})

test('Chrome gives up a pair whose ChannelBind fails, and that pair only', () => {
  const harness = new TurnHarness({ limits: { channelsPerAllocation: 1 } })
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  ok(browser.permit(PEER))
  ok(browser.permit(OTHER_PEER))
  ok(browser.bind(0x4000, PEER))
  assert.notEqual(browser.bind(0x4001, OTHER_PEER)?.code, 0)
  assert.equal(browser.sendChannel(0x4000, 'media')?.to, PEER)
  assert.equal(browser.send(OTHER_PEER, 'check')?.to, OTHER_PEER)
  ok(browser.refresh())
})

test('Chrome gives mDNS candidates no permission: what such a peer sends is dropped in silence', () => {
  const harness = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  assert.equal(browser.hear('203.0.113.77:5000', 'check'), undefined)
  assert.deepEqual(harness.drain(), [])
})

test('Chrome makes an allocation for each URL and interface: ten connections of six fit the default quota', () => {
  const harness = new TurnHarness()
  const codes = Array.from(
    { length: 61 },
    (_, i) => new Browser(LIBWEBRTC, harness, `198.51.100.7:${4000 + i}`).allocate()?.code,
  )
  assert.deepEqual([codes.filter((code) => code === 0).length, codes.at(-1)], [60, 486])
})

test('Chrome over three hours: a Refresh 60 s before expiry, a ChannelBind every four minutes and no CreatePermission keep the call', () => {
  const harness = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  ok(browser.permit(PEER))
  let refreshAt = browser.lifetimeSeconds - MINUTE_SECONDS
  let bindAt = 0
  for (let second = 0; second <= 3 * HOUR_SECONDS; second++) {
    if (second > 0) harness.pass(1)
    if (second === bindAt) {
      ok(browser.bind(0x4000, PEER))
      bindAt += 4 * MINUTE_SECONDS
    }
    if (second === refreshAt) {
      const answer = browser.refresh()
      ok(answer)
      refreshAt += (answer?.lifetime ?? 0) - MINUTE_SECONDS
    }
    if (second % 10 !== 0) continue
    assert.equal(browser.sendChannel(0x4000, 'media')?.to, PEER, `up at ${second} s`)
    assert.equal(kindOf(browser.hear(PEER, 'media')?.bytes), 'channel', `down at ${second} s`)
    // The permission of the channel's peer holds for all of its ports.
    assert.equal(
      kindOf(browser.hear('8.8.8.8:6000', 'other port')?.bytes),
      'data',
      `permission at ${second} s`,
    )
  }
  assert.ok(
    harness.heard.some(({ code }) => code === 438),
    'the nonce went stale on the way',
  )
  assert.equal(harness.server.allocationCount, 1)
})

test('Chrome refreshes a lifetime under two minutes at its half, and keeps the call', () => {
  const harness = new TurnHarness({
    limits: { allocationLifetimeSeconds: 20, allocationLifetimeMaxSeconds: 20 },
  })
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  ok(browser.permit(PEER))
  for (let round = 0; round < 25; round++) {
    harness.pass(10)
    ok(browser.refresh())
    assert.equal(browser.send(PEER, 'check')?.to, PEER)
  }
})

test('Chrome that is gone without a word leaves nothing behind', () => {
  const harness = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  ok(browser.bind(0x4000, PEER))
  harness.pass(11 * MINUTE_SECONDS)
  const { allocationCount, permissionCount, channelCount } = harness.server
  assert.deepEqual([allocationCount, permissionCount, channelCount], [0, 0, 0])
})

test('an ICMP error about one peer, of any kind, touches neither the other peers nor the allocation', () => {
  const harness = new TurnHarness()
  const browser = new Browser(LIBWEBRTC, harness)
  ok(browser.allocate())
  for (const [i, peer] of [PEER, OTHER_PEER].entries()) {
    ok(browser.permit(peer))
    ok(browser.bind(0x4000 + i, peer))
  }
  const [relay] = harness.bound.keys()
  for (const type of [3, 4, 5, 11, 12]) {
    for (let code = 0; code < 16; code++) {
      harness.server.handlePeerError(relay!, address(PEER), type, code, 1280, harness.now)
      harness.server.handlePeerError(relay!, address('8.8.8.8:0'), type, code, 0, harness.now)
    }
  }
  for (const { method, bytes } of harness.drain()) {
    // A Data indication with ICMP and no DATA, which libwebrtc and nICEr pass over.
    assert.equal(method, 'Data')
    assert.equal(attributeOf(decode(Buffer.from(bytes))!, ATTRIBUTE.Data), undefined)
  }
  for (const [i, peer] of [PEER, OTHER_PEER].entries()) {
    assert.equal(browser.sendChannel(0x4000 + i, 'media')?.to, peer)
    assert.equal(kindOf(browser.hear(peer, 'media')?.bytes), 'channel')
  }
  ok(browser.refresh())
})
