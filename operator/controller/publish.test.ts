import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from './contract.ts'
import { directivesOf } from './directives.ts'
import { publication } from './publish.ts'
import { CONTEXT, KEY_RING, load, NOW, node, observedCluster, relay } from './testing/fixtures.ts'
import { assess } from './view.ts'

const DRAIN = { sinceMs: NOW - 5000, reason: 'ScaleDown' }
const drainOf = (uid: string): Action => ({
  kind: 'drain',
  relay: 'x',
  uid,
  reason: 'ScaleDown',
  message: 'drains',
})

const viewOf = (world: Parameters<typeof observedCluster>[0]) => assess(observedCluster(world), CONTEXT)
const uids = (published: ReturnType<typeof publication>) => published.relays.map(({ uid }) => uid)

test('clients are given ready relays only, and none that is about to drain', () => {
  const view = viewOf({
    relays: [relay(0), relay(1, { ready: false }), relay(2), relay(3, { drain: DRAIN })],
  })
  assert.deepEqual(uids(publication(view, [], undefined)), ['uid-0', 'uid-2'])
  assert.deepEqual(uids(publication(view, [drainOf('uid-0')], undefined)), ['uid-2'])
})

test('a published relay tells its zone, addresses, load and ports', () => {
  const nodes = [node('node0', { zone: 'a' })]
  const loads = new Map([
    ['uid-0', load(relay(0), { allocations: 7, capacity: 50, listeners: [{ protocol: 'tls', port: 4443 }] })],
  ])
  const published = publication(
    viewOf({ relays: [relay(0)], nodes, loads, spec: { credentials: { ttl: '1h' } } }),
    [],
    undefined,
  )
  assert.equal(published.ttlSeconds, 3600)
  assert.deepEqual(published.relays, [
    {
      name: 'public-0-0000cafe',
      uid: 'uid-0',
      zone: 'a',
      addresses: ['203.0.113.10'],
      allocations: 7,
      capacity: 50,
      listeners: [{ protocol: 'TLS', port: 4443 }],
    },
  ])
})

test('clients are not given DTLS listeners, which browsers cannot use', () => {
  const spec = {
    tls: { secretName: 'turn-tls' },
    listeners: [
      { name: 'udp', protocol: 'UDP' as const, port: 3478 },
      { name: 'dtls', protocol: 'DTLS' as const, port: 3478 },
    ],
  }
  const reported = [
    { protocol: 'udp', port: 3478 },
    { protocol: 'dtls', port: 3478 },
  ]
  const loads = new Map([['uid-0', load(relay(0), { listeners: reported })]])
  const published = publication(viewOf({ relays: [relay(0)], loads, spec }), [], undefined)
  assert.deepEqual(published.listeners, [{ protocol: 'UDP', port: 3478 }])
  assert.deepEqual(published.relays[0]!.listeners, [{ protocol: 'UDP', port: 3478 }])
})

test('a key ring that cannot be read leaves the last one in force', () => {
  const view = viewOf({ changes: { keyRing: { state: 'malformed', message: 'bad' } } })
  assert.deepEqual(publication(view, [], KEY_RING).keyRing, KEY_RING)
  assert.equal(publication(view, [], undefined).keyRing, undefined)
})

test('a draining relay is told to drain and where to send new clients, least loaded first', () => {
  const relays = [relay(0), relay(1), relay(2, { drain: DRAIN })]
  const loads = new Map([['uid-0', load(relay(0), { allocations: 9 })]])
  const view = viewOf({ relays, loads })
  const told = directivesOf(view, [], publication(view, [], undefined))
  assert.equal(told.get('uid-0')?.drain, false)
  assert.deepEqual(told.get('uid-0')?.alternates, [])
  assert.equal(told.get('uid-2')?.drain, true)
  assert.deepEqual(told.get('uid-2')?.alternates, [
    { address: '203.0.113.11', port: 3478, protocol: 'udp' },
    { address: '203.0.113.10', port: 3478, protocol: 'udp' },
  ])
})

test('a draining relay is told the name in the certificate of each relay that clients of TLS may follow to', () => {
  const view = viewOf({ relays: [relay(0), relay(1, { drain: DRAIN })] })
  const published = publication(view, [], undefined)
  const listeners = [{ protocol: 'TLS' as const, port: 443 }]
  const told = directivesOf(view, [], {
    ...published,
    tlsName: '{address}.turn.example.org',
    relays: published.relays.map((one) => ({ ...one, listeners })),
  })
  assert.deepEqual(told.get('uid-1')?.alternates, [
    { address: '203.0.113.10', port: 443, protocol: 'tcp' },
    { address: '203.0.113.10', port: 443, protocol: 'tls', domain: '203-0-113-10.turn.example.org' },
  ])
})

test('a relay is told to drain only once the drain has been written down', () => {
  const view = viewOf({ relays: [relay(0), relay(1)] })
  const planned = [drainOf('uid-0')]
  const published = publication(view, planned, undefined)
  assert.equal(directivesOf(view, [], published).get('uid-0')?.drain, false)
  assert.equal(directivesOf(view, planned, published).get('uid-0')?.drain, true)
})

test('an un-drained relay, one that is being deleted, and the relays of a cluster that goes', () => {
  const undrain: Action = { ...drainOf('uid-1'), kind: 'undrain' } as Action
  const view = viewOf({ relays: [relay(0, { terminating: true }), relay(1, { drain: DRAIN })] })
  const told = directivesOf(view, [undrain], publication(view, [], undefined))
  assert.equal(told.get('uid-0')?.drain, true)
  assert.equal(told.get('uid-1')?.drain, false)
  view.observed.cluster.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  assert.deepEqual(uids(publication(view, [], undefined)), [])
  assert.equal(directivesOf(view, [], publication(view, [], undefined)).get('uid-1')?.drain, true)
})

test('large fleets report less often', () => {
  const relays = Array.from({ length: 300 }, (_, i) => relay(i))
  const view = viewOf({ relays, nodes: [] })
  const told = directivesOf(view, [], publication(view, [], undefined))
  assert.equal(told.get('uid-0')?.intervalSeconds, 3)
})
