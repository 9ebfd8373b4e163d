import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadReport } from '../../relay/api/load-report.ts'
import { plan } from './plan/plan.ts'
import { CONTEXT, load, NOW, node, observedCluster, relay } from './testing/fixtures.ts'
import { SimulatedFleet } from './testing/simulated-fleet.ts'

/** Each promise about calls, as one test with its name. */

const DRAIN = { sinceMs: NOW - 10_000, reason: 'ScaleDown' }

function deletions(report: Partial<LoadReport> | undefined, ageSeconds: number, drain = DRAIN) {
  const draining = relay(1, { drain })
  const observed = observedCluster({
    spec: { replicas: 1, drain: { maxDuration: '1h' } },
    relays: [relay(0), draining],
  })
  const loads = new Map([['uid-0', load(relay(0))]])
  if (report) loads.set('uid-1', load(draining, report, ageSeconds))
  observed.loads = loads
  return plan(observed, CONTEXT).actions.filter(({ kind }) => kind === 'delete-relay')
}

test('a relay is deleted only on a fresh acknowledged zero', () => {
  const empty = { drainAcknowledged: true, allocations: 0, state: 'drained' as const }
  assert.equal(deletions(empty, 1).length, 1)
  assert.deepEqual(deletions({ ...empty, allocations: 1 }, 1), [], 'it carries a call')
  assert.deepEqual(deletions({ ...empty, drainAcknowledged: false }, 1), [], 'its count may still rise')
  assert.deepEqual(deletions(empty, 6), [], 'the report is not fresh')
  assert.deepEqual(
    deletions(empty, 1, { ...DRAIN, sinceMs: NOW - 500 }),
    [],
    'the report is older than the drain',
  )
})

test('an unknown load is busy, never idle', () => {
  assert.deepEqual(deletions(undefined, 0), [])
})

test('the longest drain ends a busy or silent relay by force, and says what was lost', () => {
  const over = { ...DRAIN, sinceMs: NOW - 3_600_000 }
  const [busy] = deletions({ drainAcknowledged: true, allocations: 2, state: 'draining' }, 1, over)
  assert.ok(busy?.kind === 'delete-relay' && busy.forced)
  assert.equal(busy.reason, 'DrainDeadline')
  assert.match(busy.message, /ends 2 allocations/)
  const [silent] = deletions(undefined, 0, over)
  assert.ok(silent?.kind === 'delete-relay' && silent.forced)
  assert.match(silent.message, /unknown number/)
})

test('a deletion names the very relay that was judged', () => {
  const [action] = deletions({ drainAcknowledged: true, state: 'drained' }, 1)
  assert.ok(action?.kind === 'delete-relay')
  assert.equal(action.uid, 'uid-1')
})

const small = (changes = {}) => ({ replicas: 2, limits: { allocationsPerRelay: 100 }, ...changes })

test('a relay is unpublished before it is told to drain, acknowledges, empties, and only then goes', async () => {
  const fleet = new SimulatedFleet(small(), 3)
  await fleet.run(20)
  for (let i = 0; i < 10; i++) fleet.arrive(i)
  fleet.cluster.spec.replicas = 1
  await fleet.run(30)
  const [draining] = [...fleet.relays.values()].filter(({ observed }) => observed.drain)
  assert.ok(draining?.acknowledged)
  assert.equal(draining.allocations, 5)
  assert.deepEqual(
    fleet
      .published()
      ?.relays.map(({ uid }) => uid)
      .includes(draining.observed.uid),
    false,
  )
  for (let i = 0; i < 20; i++) fleet.arrive(i)
  assert.equal(draining.allocations, 5, 'its count cannot rise')
  draining.allocations = 0
  await fleet.run(3)
  assert.equal(fleet.relays.has(draining.observed.uid), false)
  assert.deepEqual(fleet.violations, [])
})

test('a draining relay comes back when demand returns, and no new one is made', async () => {
  const fleet = new SimulatedFleet(small(), 4)
  await fleet.run(20)
  for (let i = 0; i < 10; i++) fleet.arrive(i)
  fleet.cluster.spec.replicas = 1
  await fleet.run(10)
  const before = [...fleet.relays.keys()]
  fleet.cluster.spec.replicas = 2
  await fleet.run(10)
  assert.deepEqual([...fleet.relays.keys()], before)
  assert.equal(fleet.cluster.status.readyReplicas, 2)
  assert.ok(
    [...fleet.relays.values()].every(({ acknowledged, allocations }) => !acknowledged && allocations === 5),
  )
})

test('a restart of the operator changes nothing: no action, no write, no client turned away', async () => {
  const fleet = new SimulatedFleet(small({ replicas: 3 }), 3)
  await fleet.run(30)
  const [actions, writes] = [fleet.actions.length, fleet.statusWrites.length]
  fleet.restartOperator()
  let turnedAway = 0
  await fleet.run(60, () => {
    if (fleet.published() && fleet.published()?.relays.length !== 3) turnedAway++
  })
  assert.deepEqual(
    fleet.actions.slice(actions).filter(({ action }) => action.kind !== 'check-relay'),
    [],
  )
  assert.equal(fleet.statusWrites.length, writes)
  assert.equal(turnedAway, 0)
})

test('a fleet at rest is written to never', async () => {
  const fleet = new SimulatedFleet(small(), 2)
  for (let i = 0; i < 2; i++) await fleet.run(20)
  for (let i = 0; i < 10; i++) fleet.arrive(i)
  await fleet.run(30)
  const writes = fleet.statusWrites.length
  let second = 0
  await fleet.run(600, () => {
    // A check allocates for a moment, and the relay reports it.
    const [checked] = [...fleet.relays.values()]
    if (second++ % 60 < 2) checked!.allocations += second % 60 === 1 ? 1 : -1
  })
  assert.equal(fleet.statusWrites.length, writes)
})

test('a rollout to a revision that never starts stops at one relay, and its way back is short', async () => {
  const fleet = new SimulatedFleet(small({ replicas: 3 }), 6)
  await fleet.run(20)
  const before = [...fleet.relays.keys()]
  fleet.revision = '0000dead'
  fleet.brokenRevisions.add('0000dead')
  await fleet.run(300)
  assert.equal(fleet.cluster.status.readyReplicas, 3)
  assert.equal(fleet.relays.size, 4)
  fleet.revision = '0000aaaa'
  await fleet.run(10)
  assert.deepEqual([...fleet.relays.keys()], before)
})

test('a rollout on a fixed set of nodes finishes, with at most one relay fewer at a time', async () => {
  const fleet = new SimulatedFleet(small({ replicas: 3 }), 3)
  await fleet.run(20)
  fleet.revision = '0000bbbb'
  let fewest = 3
  await fleet.run(200, () => {
    fewest = Math.min(fewest, fleet.cluster.status.readyReplicas ?? 0)
  })
  assert.ok([...fleet.relays.values()].every(({ observed }) => observed.revision === '0000bbbb'))
  assert.equal(fleet.cluster.status.readyReplicas, 3)
  assert.ok(fewest >= 2, `${fewest} were ready`)
})

test('a relay that dies is replaced, and clients are sent elsewhere at once', async () => {
  const fleet = new SimulatedFleet(small(), 3)
  await fleet.run(40)
  const [dead] = [...fleet.relays.values()]
  Object.assign(dead!.observed, { phase: 'Ended', ready: false })
  await fleet.run(1)
  assert.deepEqual(fleet.published()?.relays.length, 1)
  await fleet.run(10)
  assert.equal(fleet.cluster.status.readyReplicas, 2)
})

test('relays that die as soon as they start are not made in a hot loop', async () => {
  const fleet = new SimulatedFleet(small({ replicas: 2 }), 4)
  await fleet.run(300, () => {
    for (const { observed } of fleet.relays.values()) {
      if (observed.phase === 'Running') Object.assign(observed, { phase: 'Ended', ready: false })
    }
  })
  const created = fleet.actions.filter(({ action }) => action.kind === 'create-relay').length
  assert.ok(created <= 2 + 2 * (300 / 30), `${created} were created in 300 s`)
})

test('a silent relay is unpublished within four seconds, and one of many that is lost is replaced', async () => {
  const fleet = new SimulatedFleet(small({ replicas: 3 }), 5)
  await fleet.run(20)
  const [silent] = [...fleet.relays.values()]
  silent!.silent = true
  await fleet.run(4)
  assert.equal(fleet.published()?.relays.length, 2)
  await fleet.run(20)
  assert.equal(fleet.cluster.status.readyReplicas, 3)
  assert.ok(fleet.relays.has(silent!.observed.uid), 'it may carry calls, and is kept')
})

test('two zones with one relay each keep one when a zone goes', () => {
  const relays = [relay(0), relay(1)]
  const nodes = [node('node0', { zone: 'a' }), node('node1', { zone: 'b', ready: false })]
  const loads = new Map([['uid-1', load(relays[1]!, {}, 30)]])
  const { view } = plan(observedCluster({ spec: { replicas: 2 }, relays, nodes, loads }), CONTEXT)
  assert.deepEqual(
    view.relays.map(({ state }) => state),
    ['Ready', 'Lost'],
  )
})
