import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadReport } from '../../relay/api/load-report.ts'
import type { PublishedCluster } from '../controller/contract.ts'
import { createFleet } from './registry.ts'

const KEY = 'turn/public'

function report(change: Partial<LoadReport> = {}): LoadReport {
  return {
    uid: 'u1',
    name: 'public-0-abc',
    cluster: KEY,
    version: '0.1.0',
    sequence: 1,
    startedAtMs: 1000,
    state: 'serving',
    drainAcknowledged: false,
    allocations: 0,
    capacity: 100,
    allocationsOpenedTotal: 0,
    bytesTotal: 0,
    packetsTotal: 0,
    addresses: ['203.0.113.10'],
    listeners: [{ protocol: 'udp', port: 3478 }],
    keyIds: ['k1'],
    problems: [],
    rssBytes: 0,
    cpuSecondsTotal: 0,
    ...change,
  }
}

function published(change: Partial<PublishedCluster> = {}): PublishedCluster {
  const relay = {
    name: 'public-0-abc',
    uid: 'u1',
    addresses: ['203.0.113.10'],
    allocations: 0,
    capacity: 100,
  }
  return {
    key: KEY,
    realm: 'r',
    ttlSeconds: 60,
    listeners: [{ protocol: 'UDP', port: 3478 }],
    keyRing: undefined,
    realms: [],
    peerPolicies: [],
    relays: [relay],
    ...change,
  }
}

const neverChecked = () => Promise.reject(new Error('no check expected'))

function fleetAt(clock: { nowMs: number }) {
  const changes: string[] = []
  const fleet = createFleet({ checker: neverChecked, nowMs: () => clock.nowMs })
  fleet.onChange((key) => changes.push(key))
  return { fleet, changes }
}

test('a late report is ignored, and one of a restarted relay is taken', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  fleet.report(report({ sequence: 5, allocations: 5 }), 100)
  fleet.report(report({ sequence: 4, allocations: 4 }), 200)
  assert.equal(fleet.loads(KEY).get('u1')?.report.allocations, 5)
  assert.equal(fleet.loads(KEY).get('u1')?.receivedAtMs, 100)
  fleet.report(report({ sequence: 0, startedAtMs: 2000, allocations: 0 }), 300)
  assert.equal(fleet.loads(KEY).get('u1')?.report.allocations, 0)
  fleet.report(report({ sequence: 6, allocations: 6 }), 400)
  assert.equal(fleet.loads(KEY).get('u1')?.report.startedAtMs, 2000, 'the process before the restart is late')
})

test('a relay whose clock was set back by its restart is heard again', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  fleet.report(report({ startedAtMs: 5000, sequence: 9 }), 0)
  fleet.report(report({ startedAtMs: 10, sequence: 0 }), 60_000)
  assert.equal(fleet.loads(KEY).get('u1')?.report.startedAtMs, 10)
})

test('before the first plan a relay that drains is told to go on, after it the plan decides', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  assert.equal(fleet.report(report({ state: 'draining' }), 0).drain, true)
  assert.equal(fleet.report(report({ uid: 'u2' }), 0).drain, false)
  fleet.setDirectives(KEY, new Map([['u1', { drain: false, alternates: [], intervalSeconds: 5 }]]))
  assert.deepEqual(fleet.report(report({ state: 'draining', sequence: 2 }), 1), {
    drain: false,
    alternates: [],
    intervalSeconds: 5,
  })
  assert.deepEqual(fleet.report(report({ uid: 'u3', state: 'draining' }), 1), {
    drain: false,
    alternates: [],
    intervalSeconds: 2,
  })
})

test('a change of state wakes the plan at once, changes of counts once a second, sameness never', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const clock = { nowMs: 0 }
  const { fleet, changes } = fleetAt(clock)
  const send = (sequence: number, change: Partial<LoadReport> = {}) =>
    fleet.report(report({ sequence, ...change }), clock.nowMs)
  send(1)
  assert.equal(changes.length, 1, 'a new relay')
  send(2, { bytesTotal: 99, rssBytes: 5 })
  t.mock.timers.tick(5000)
  assert.equal(changes.length, 1, 'nothing that the plan reads')
  for (let count = 1; count <= 20; count++) send(2 + count, { allocations: count })
  t.mock.timers.tick(0)
  assert.equal(changes.length, 2, 'the first count at once')
  for (let count = 21; count <= 40; count++) send(2 + count, { allocations: count })
  t.mock.timers.tick(999)
  assert.equal(changes.length, 2)
  t.mock.timers.tick(1)
  assert.equal(changes.length, 3)
  send(50, { allocations: 40, state: 'draining' })
  assert.equal(changes.length, 4)
  send(51, { allocations: 40, state: 'draining', drainAcknowledged: true })
  send(52, { allocations: 0, state: 'drained', drainAcknowledged: true })
  assert.equal(changes.length, 6)
})

test('relays beyond the limit are answered, not stored', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  for (let i = 0; i < 3000; i++) fleet.report(report({ uid: `u${i}` }), 0)
  assert.equal(fleet.loads(KEY).size, 2500)
  fleet.report(report({ uid: 'late' }), 700_000)
  assert.ok(fleet.loads(KEY).has('late'), 'silent relays make room')
})

test('reports for clusters that do not exist cannot crowd out those that do', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  fleet.report(report(), 0)
  fleet.publish(published())
  for (let i = 0; i < 20_000; i++) assert.equal(fleet.report(report({ cluster: `ns/c${i}` }), 0).drain, false)
  assert.equal(fleet.loads(KEY).size, 1)
  assert.equal(fleet.loads('ns/c0').size, 0, 'the oldest are forgotten')
  assert.equal(fleet.loads('ns/c19999').size, 1)
  fleet.publish(published({ key: 'turn/second' }))
  assert.deepEqual(fleet.publishedKeys(), [KEY, 'turn/second'])
})

test('publishing replaces the cluster whole, and a forgotten one leaves nothing', () => {
  const { fleet } = fleetAt({ nowMs: 0 })
  fleet.report(report(), 0)
  fleet.publish(published())
  fleet.publish(published({ relays: [] }))
  assert.deepEqual(fleet.published(KEY)?.relays, [])
  assert.deepEqual(fleet.publishedKeys(), [KEY])
  fleet.forget(KEY)
  assert.equal(fleet.published(KEY), undefined)
  assert.equal(fleet.loads(KEY).size, 0)
})
