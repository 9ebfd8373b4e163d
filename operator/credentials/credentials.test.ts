import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { parseSignedUsername, signedPassword, signingKey } from '../../relay/api/signed-credential.ts'
import type { PublishedCluster, PublishedRelay } from '../controller/contract.ts'
import { KEY_RING } from '../controller/testing/fixtures.ts'
import { chooseRelays } from './choose-relays.ts'
import { relayUrls } from './ice-urls.ts'
import { issueIceServers } from './issue.ts'
import { generateKeyRing, judgeKeyRing } from './key-ring.ts'

const NOW = Date.UTC(2026, 0, 1)
const hmacSha1 = (key: Uint8Array, data: Uint8Array) => createHmac('sha1', key).update(data).digest()
const hmacSha256 = (key: Uint8Array, data: Uint8Array) => createHmac('sha256', key).update(data).digest()

const relay = (name: string, changes: Partial<PublishedRelay> = {}): PublishedRelay => ({
  name,
  uid: name,
  addresses: ['203.0.113.10'],
  allocations: 0,
  capacity: 100,
  ...changes,
})

const cluster = (changes: Partial<PublishedCluster> = {}): PublishedCluster => ({
  key: 'turn/public',
  realm: 'turn.example.org',
  ttlSeconds: 3600,
  listeners: [
    { protocol: 'TLS', port: 443 },
    { protocol: 'UDP', port: 3478 },
    { protocol: 'TCP', port: 3478 },
  ],
  keyRing: KEY_RING,
  realms: [],
  peerPolicies: [],
  relays: [relay('a')],
  ...changes,
})

const issue = (of: PublishedCluster, changes = {}) =>
  issueIceServers(
    of,
    { user: 'alice', count: 2, nowMs: NOW, ...changes },
    { hmacSha1, hmacSha256, random: () => 0.5 },
  )

test('what a credential is to say besides is signed with the first key of the ring, in a form that relays read', () => {
  const grant = { tenant: 'acme', allocations: 4, peers: ['203.0.113.0/24'] }
  const issued = issue(cluster(), { grant })
  assert.ok(issued.state === 'issued')
  const { username, credential } = issued.iceServers[0]!
  const [key] = KEY_RING.keys
  const claims = parseSignedUsername(username)
  const { tenant, allocations, peers, keyId, user, expiresUnixSeconds } = claims!
  assert.deepEqual({ tenant, allocations, peers }, grant)
  assert.deepEqual([keyId, user, expiresUnixSeconds], [key!.id, 'alice', NOW / 1000 + 3600])
  const means = { hmacSha256 }
  assert.equal(credential, signedPassword(means, signingKey(means, key!.secret), username))
  assert.throws(() => issue(cluster(), { grant: { tenant: 'ä'.repeat(100) } }), RangeError)
})

test('URLs of a relay: UDP first, then TCP, then plain and TLS on the TLS port', () => {
  assert.deepEqual(relayUrls(relay('a'), cluster()), [
    'turn:203.0.113.10:3478?transport=udp',
    'turn:203.0.113.10:3478?transport=tcp',
    'turn:203.0.113.10:443?transport=tcp',
    'turns:203.0.113.10:443?transport=tcp',
  ])
})

test('IPv6 addresses stand in brackets', () => {
  const urls = relayUrls(relay('a', { addresses: ['2001:db8::1'] }), cluster())
  assert.ok(urls.includes('turn:[2001:db8::1]:3478?transport=udp'))
  assert.ok(urls.includes('turns:[2001:db8::1]:443?transport=tcp'))
})

test('a host name pattern gives each relay the name that its certificate covers', () => {
  const of = cluster({ tlsName: '{address}.turn.example.org' })
  const tls = (address: string) =>
    relayUrls(relay('a', { addresses: [address] }), of).find((url) => url.startsWith('turns:'))
  assert.equal(tls('203.0.113.10'), 'turns:203-0-113-10.turn.example.org:443?transport=tcp')
  assert.equal(tls('2001:db8::1'), 'turns:2001-db8--1.turn.example.org:443?transport=tcp')
  assert.equal(tls('2001:db8::'), 'turns:2001-db8--0.turn.example.org:443?transport=tcp')
})

test('a relay with ports of its own is named with them', () => {
  const own = relay('a', { listeners: [{ protocol: 'UDP', port: 3480 }] })
  assert.deepEqual(relayUrls(own, cluster()), ['turn:203.0.113.10:3480?transport=udp'])
})

test('the least loaded relays come first, near ones before all, full ones last', () => {
  const relays = [
    relay('far-and-idle', { zone: 'b' }),
    relay('near-and-busy', { zone: 'a', allocations: 80 }),
    relay('near-and-half', { zone: 'a', allocations: 40 }),
    relay('near-and-full', { zone: 'a', allocations: 100 }),
  ]
  const chosen = chooseRelays(relays, { zone: 'a', count: 4 }, () => 0.5).map(({ name }) => name)
  assert.deepEqual(chosen, ['near-and-half', 'near-and-busy', 'far-and-idle', 'near-and-full'])
  assert.equal(chooseRelays(relays, { count: 1 }, () => 0.5)[0]?.name, 'far-and-idle')
})

test('equal relays are shared out, so that clients of one moment do not all meet on one', () => {
  const relays = Array.from({ length: 4 }, (_, i) => relay(`r${i}`, { allocations: i }))
  let seed = 0
  const random = () => {
    seed = (seed * 16_807 + 11) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const firsts = Array.from({ length: 400 }, () => chooseRelays(relays, { count: 1 }, random)[0]?.name)
  for (const { name } of relays) assert.ok(firsts.filter((first) => first === name).length > 50, name)
})

test('a credential is the HMAC of its expiry and user, by the first key of the ring', () => {
  const issued = issue(cluster())
  assert.ok(issued.state === 'issued')
  const [server] = issued.iceServers
  assert.equal(server?.username, `${NOW / 1000 + 3600}:alice`)
  assert.equal(server.credential, createHmac('sha1', 'first').update(server.username).digest('base64'))
  assert.equal(issued.keyId, 'k1')
})

test('a caller may ask for less time, never for more', () => {
  const ttl = (ttlSeconds: number) => {
    const issued = issue(cluster(), { ttlSeconds })
    return issued.state === 'issued' ? issued.ttlSeconds : undefined
  }
  assert.deepEqual([ttl(600), ttl(86_400), ttl(1), ttl(-5)], [600, 3600, 60, 60])
})

test('without a key or a relay there is no credential, and the reason is said', () => {
  assert.equal(issue(cluster({ keyRing: undefined })).state, 'no-key')
  assert.equal(issue(cluster({ relays: [] })).state, 'no-relay')
})

test('a generated key ring is one that relays take, and no two are alike', () => {
  let next = 0
  const randomBytes = (length: number) => Uint8Array.from({ length }, () => next++ % 256)
  const [one, two] = [generateKeyRing(randomBytes), generateKeyRing(randomBytes)]
  assert.deepEqual(judgeKeyRing(one), { ring: one })
  assert.notEqual(one.keys[0]?.secret, two.keys[0]?.secret)
  assert.equal(one.keys[0]?.secret.length, 64)
})

test('a key ring that is none is told by the field at fault, without its secrets', () => {
  const cases: [unknown, RegExp][] = [
    [undefined, /^keys\.yaml: the file: /],
    [{ keys: [] }, /^keys\.yaml: keys: /],
    [{ keys: [{ id: 'a' }], nonceKeys: [{ id: 'n', secret: 'x' }] }, /^keys\.yaml: keys\.0\.secret: /],
    [{ ...KEY_RING, keys: [KEY_RING.keys[0], KEY_RING.keys[0]] }, /the id "k1" stands there twice/],
  ]
  for (const [parsed, expected] of cases) {
    const judged = judgeKeyRing(parsed)
    assert.ok('message' in judged)
    assert.match(judged.message, expected)
    assert.doesNotMatch(judged.message, /first/)
  }
})
