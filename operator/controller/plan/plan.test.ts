import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action } from '../contract.ts'
import {
  CONTEXT,
  check,
  load,
  NOW,
  node,
  OLD_REVISION,
  observedCluster,
  relay,
  type WorldOf,
} from '../testing/fixtures.ts'
import { plan } from './plan.ts'

/** Actions as short words, such as `drain 1`. */
function said(world: WorldOf): string[] {
  return plan(observedCluster(world), CONTEXT).actions.map(words)
}

function words(action: Action): string {
  if (action.kind === 'create-relay') return `create ${action.ordinal}`
  if (!('uid' in action)) return action.kind
  const what = action.kind === 'delete-relay' ? (action.forced ? 'force-delete' : 'delete') : action.kind
  return `${what} ${action.uid.replace('uid-', '')}`
}

const replicas = (count: number) => ({ replicas: count })
const draining = (ordinal: number, reason = 'ScaleDown', agoSeconds = 10) =>
  relay(ordinal, { drain: { sinceMs: NOW - agoSeconds * 1000, reason } })
const pending = (ordinal: number, changes = {}) =>
  relay(ordinal, { phase: 'Pending', ready: false, addresses: [], createdAtMs: NOW - 5000, ...changes })
const unplaced = (ordinal: number, changes = {}) => {
  const trouble = { reason: 'Unschedulable', message: 'no node' }
  const { node: _none, ...rest } = pending(ordinal, { trouble, ...changes })
  return rest
}
const loadsOf = (...entries: ReturnType<typeof load>[]) =>
  new Map(entries.map((entry) => [entry.report.uid, entry]))
const drained = (of: ReturnType<typeof relay>, allocations = 0) =>
  load(of, { drainAcknowledged: true, state: allocations > 0 ? 'draining' : 'drained', allocations })

const CASES: Record<string, { world: WorldOf; does: string[] }> = {
  'a fleet as wanted: nothing': { world: { spec: replicas(2), relays: [relay(0), relay(1)] }, does: [] },
  'a new cluster: the key ring, the configuration and the relays': {
    world: { spec: replicas(2), changes: { keyRing: { state: 'absent' }, configHash: undefined as never } },
    does: ['create-key-ring', 'write-config', 'create 0', 'create 1'],
  },
  'a key ring that the user wants to keep and has not made: no relay can start': {
    world: {
      spec: { ...replicas(2), credentials: { secretName: 'mine' } },
      changes: { keyRing: { state: 'absent' } },
    },
    does: [],
  },
  'a malformed key ring: relays that run are left alone, none is started': {
    world: {
      spec: replicas(3),
      relays: [relay(0)],
      changes: { keyRing: { state: 'malformed', message: 'bad' } },
    },
    does: [],
  },
  'a missing certificate: no relay can start': {
    world: { spec: { ...replicas(2), tls: { secretName: 'tls' } }, changes: { tls: { state: 'absent' } } },
    does: [],
  },
  'a changed spec that relays take over live: the configuration': {
    world: { spec: replicas(1), relays: [relay(0)], changes: { desiredConfigHash: 'c2' } },
    does: ['write-config'],
  },
  'relays missing: the lowest free ordinals': {
    world: { spec: replicas(3), relays: [relay(1)] },
    does: ['create 0', 'create 2'],
  },
  'an ordinal whose pod is still going away is not free': {
    world: { spec: replicas(1), relays: [relay(0, { terminating: true })] },
    does: ['create 1'],
  },
  'a name that somebody else has taken is passed over': {
    world: { spec: replicas(1), changes: { foreign: ['public-0-0000cafe'] } },
    does: ['create 1'],
  },
  'many relays missing: a few at a time': {
    world: { spec: replicas(50) },
    does: ['create 0', 'create 1', 'create 2', 'create 3'],
  },
  'relays on their way count': {
    world: { spec: replicas(2), relays: [relay(0), unplaced(1)] },
    does: [],
  },
  'a relay on a node: its public addresses': {
    world: { spec: replicas(1), relays: [pending(3)] },
    does: ['publish-addresses 3'],
  },
  'a changed public address: the new one, and a check': {
    world: {
      spec: replicas(1),
      relays: [relay(0)],
      nodes: [node('node0', { externalAddresses: ['198.51.100.7'] })],
    },
    does: ['publish-addresses 0'],
  },
  'a node that has lost its address: the relay keeps its last one': {
    world: { spec: replicas(1), relays: [relay(0)], nodes: [node('node0', { externalAddresses: [] })] },
    does: [],
  },
  'a relay that serves and was never checked: a check': {
    world: {
      spec: replicas(1),
      relays: [relay(0)],
      checks: new Map([['uid-0', check(relay(0), { address: '192.0.2.1' })]]),
    },
    does: ['check-relay 0'],
  },
  'a check that passed long ago: another one': {
    world: {
      spec: replicas(1),
      relays: [relay(0)],
      checks: new Map([['uid-0', check(relay(0), { atMs: NOW - 61_000 })]]),
    },
    does: ['check-relay 0'],
  },
  'a check that runs: none besides': {
    world: {
      spec: replicas(1),
      relays: [relay(0)],
      checks: new Map([['uid-0', check(relay(0), { state: 'running' })]]),
    },
    does: [],
  },
  'fewer wanted: the relays with the fewest allocations drain': {
    world: {
      spec: replicas(1),
      relays: [relay(0), relay(1), relay(2)],
      loads: loadsOf(
        load(relay(0), { allocations: 5 }),
        load(relay(1), { allocations: 9 }),
        load(relay(2), { allocations: 1 }),
      ),
    },
    does: ['drain 0', 'drain 2'],
  },
  'fewer wanted while one only starts: as many stay ready as are wanted': {
    world: { spec: replicas(2), relays: [relay(0), relay(1), relay(2, { ready: false })] },
    does: ['drain 2'],
  },
  'none wanted: all drain': {
    world: { spec: replicas(0), relays: [relay(0), relay(1)] },
    does: ['drain 0', 'drain 1'],
  },
  'more wanted again: the draining relay with most calls comes back before a new one is made': {
    world: {
      spec: replicas(2),
      relays: [relay(0), draining(1), draining(2)],
      loads: loadsOf(drained(draining(1), 3), drained(draining(2), 7)),
    },
    does: ['undrain 2'],
  },
  'a drained relay comes back too': {
    world: { spec: replicas(2), relays: [relay(0), draining(1)], loads: loadsOf(drained(draining(1))) },
    does: ['undrain 1'],
  },
  'a relay that a person drains stays drained, and is replaced': {
    world: {
      spec: replicas(2),
      relays: [relay(0), draining(1, 'Requested')],
      loads: loadsOf(drained(draining(1), 3)),
    },
    does: ['create 2'],
  },
  'a silent draining relay is not brought back': {
    world: { spec: replicas(2), relays: [relay(0), draining(1)], loads: loadsOf(load(draining(1), {}, 30)) },
    does: ['create 2'],
  },
  'a cordoned node: another relay is made and the one there drains': {
    world: {
      spec: replicas(2),
      relays: [relay(0), relay(1)],
      nodes: [node('node0'), node('node1', { leaving: 'cordoned' }), node('node2')],
    },
    does: ['create 2', 'drain 1'],
  },
  'a cordoned node with the only ready relay: first another one': {
    world: {
      spec: replicas(1),
      relays: [relay(0)],
      nodes: [node('node0', { leaving: 'cordoned' }), node('node1')],
    },
    does: ['create 1'],
  },
  'a relay that ended: deleted and replaced': {
    world: { spec: replicas(2), relays: [relay(0), relay(1, { phase: 'Ended', ready: false })] },
    does: ['create 2', 'delete 1'],
  },
  'a relay that ended as soon as it began: not replaced yet, so that a broken one makes no hot loop': {
    world: {
      spec: replicas(2),
      relays: [relay(0), relay(1, { phase: 'Ended', ready: false, createdAtMs: NOW - 5000 })],
    },
    does: [],
  },
  'a node that is gone: its relay is deleted and replaced': {
    world: { spec: replicas(2), relays: [relay(0), relay(1)], nodes: [node('node0')] },
    does: ['create 2', 'delete 1'],
  },
  'a lost relay: replaced, not deleted, for its load is unknown': {
    world: { spec: replicas(2), relays: [relay(0), relay(1)], loads: loadsOf(load(relay(1), {}, 60)) },
    does: ['create 2'],
  },
  'a lost relay that has been replaced: drained, in case that it comes back': {
    world: {
      spec: replicas(2),
      relays: [relay(0), relay(1), relay(2)],
      loads: loadsOf(load(relay(1), {}, 60)),
    },
    does: ['drain 1'],
  },
  'an old revision: one new relay more than wanted': {
    world: {
      spec: replicas(2),
      relays: [relay(0, { revision: OLD_REVISION }), relay(1, { revision: OLD_REVISION })],
    },
    does: ['create 2'],
  },
  'the new one is not ready: nothing else happens': {
    world: {
      spec: replicas(2),
      relays: [
        relay(0, { revision: OLD_REVISION }),
        relay(1, { revision: OLD_REVISION }),
        relay(2, { ready: false }),
      ],
    },
    does: [],
  },
  'an old revision, and a relay on its way: first that one': {
    world: { spec: replicas(2), relays: [relay(0, { revision: OLD_REVISION }), relay(1, { ready: false })] },
    does: [],
  },
  'the new one is ready: an old one drains': {
    world: {
      spec: replicas(2),
      relays: [relay(0, { revision: OLD_REVISION }), relay(1, { revision: OLD_REVISION }), relay(2)],
      loads: loadsOf(load(relay(0), { allocations: 9 }), load(relay(1), { allocations: 2 })),
    },
    does: ['drain 1'],
  },
  'no node is free for the new one: an old one makes room': {
    world: {
      spec: replicas(2),
      relays: [relay(0, { revision: OLD_REVISION }), relay(1, { revision: OLD_REVISION }), unplaced(2)],
      loads: loadsOf(load(relay(0), { allocations: 9 }), load(relay(1), { allocations: 2 })),
    },
    does: ['drain 1'],
  },
  'no node is free, and the only old one carries calls: it stays': {
    world: {
      spec: replicas(1),
      relays: [relay(0, { revision: OLD_REVISION }), unplaced(1)],
      loads: loadsOf(load(relay(0), { allocations: 1 })),
    },
    does: [],
  },
  'no node is free, and the only old one is idle: it makes room': {
    world: { spec: replicas(1), relays: [relay(0, { revision: OLD_REVISION }), unplaced(1)] },
    does: ['drain 0'],
  },
  'a new revision that is taken back: its relay, which never ran, is deleted': {
    world: {
      spec: replicas(2),
      relays: [relay(0), relay(1), unplaced(2, { revision: OLD_REVISION })],
    },
    does: ['delete 2'],
  },
}

for (const [name, { world, does }] of Object.entries(CASES)) {
  test(name, () => assert.deepEqual(said(world), does))
}

test('every action has a reason of one word and a sentence', () => {
  const observed = observedCluster({ spec: replicas(3), relays: [relay(0, { revision: OLD_REVISION })] })
  for (const { reason, message } of plan(observed, CONTEXT).actions) {
    assert.match(reason, /^[A-Z][A-Za-z]+$/)
    assert.match(message, / /)
  }
})

test('an autoscaled fleet drains few at a time', () => {
  const spec = { autoscaling: { enabled: true, minReplicas: 1 } }
  const observed = observedCluster({ spec, relays: [relay(0), relay(1), relay(2)] })
  observed.cluster.status = { autoscaling: { desired: 1, binding: 'Buffer', message: '', time: '' } }
  assert.deepEqual(plan(observed, CONTEXT).actions.map(words), ['drain 0'])
})

test('a restart of the operator decides the same from the same world', () => {
  const relays = [relay(0), relay(1)]
  const observed = observedCluster({ spec: replicas(2), relays, loads: new Map() })
  observed.cluster.status = {
    relays: relays.map(({ name }, i) => ({
      name,
      address: `203.0.113.${10 + i}`,
      state: 'Ready',
      allocations: 3,
    })),
  }
  observed.loads = new Map()
  observed.checks = new Map()
  const { actions, view } = plan(observed, { nowMs: NOW, startedAtMs: NOW - 1000, memory: undefined })
  assert.deepEqual(actions, [])
  assert.deepEqual(
    view.relays.map(({ state, allocations }) => [state, allocations]),
    [
      ['Ready', 3],
      ['Ready', 3],
    ],
  )
})

test('a relay that took the name of an earlier one is not Ready by what that one was', () => {
  const young = relay(0, { createdAtMs: NOW - 500 })
  const observed = observedCluster({ spec: replicas(1), relays: [young], checks: new Map() })
  observed.checks = new Map()
  observed.cluster.status = { relays: [{ name: young.name, address: '203.0.113.10', state: 'Ready' }] }
  const { view } = plan(observed, { nowMs: NOW, startedAtMs: NOW - 1000, memory: undefined })
  assert.equal(view.relays[0]?.state, 'Verifying')
})

test('an operator that hears from no relay closes no fleet', () => {
  const relays = [relay(0), relay(1)]
  const silent = loadsOf(...relays.map((of) => load(of, { allocations: 2 }, 60)))
  const { view, actions } = plan(observedCluster({ spec: replicas(2), relays, loads: silent }), CONTEXT)
  assert.equal(view.doubt, 'AllSilent')
  assert.deepEqual(
    view.relays.map(({ state }) => state),
    ['Ready', 'Ready'],
  )
  assert.deepEqual(actions, [])
})

test('an operator whose checks all fail closes no fleet, and one failing relay is taken out', () => {
  const relays = [relay(0), relay(1)]
  const first = plan(observedCluster({ spec: replicas(2), relays }), CONTEXT)
  const failed = (of: ReturnType<typeof relay>) =>
    [of.uid, check(of, { state: 'failed', message: 'no echo' })] as const
  const context = { ...CONTEXT, memory: first.memory }
  const all = plan(
    observedCluster({ spec: replicas(2), relays, checks: new Map(relays.map(failed)) }),
    context,
  )
  assert.equal(all.view.doubt, 'AllChecksFailed')
  const one = plan(
    observedCluster({ spec: replicas(2), relays, checks: new Map([failed(relays[0]!)]) }),
    context,
  )
  assert.deepEqual(
    one.view.relays.map(({ state }) => state),
    ['Verifying', 'Ready'],
  )
})

test('a check that is repeated leaves the relay Ready meanwhile', () => {
  const relays = [relay(0)]
  const first = plan(observedCluster({ spec: replicas(1), relays }), CONTEXT)
  const checks = new Map([['uid-0', check(relays[0]!, { state: 'running' })]])
  const second = plan(observedCluster({ spec: replicas(1), relays, checks }), {
    ...CONTEXT,
    memory: first.memory,
  })
  assert.equal(second.view.relays[0]?.state, 'Ready')
})

test('a cluster that is being deleted is left to the garbage collector', () => {
  const observed = observedCluster({ spec: replicas(3), relays: [relay(0)] })
  observed.cluster.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
  assert.deepEqual(plan(observed, CONTEXT).actions, [])
})

test('what is remembered can be written down and read back', () => {
  const { memory } = plan(observedCluster({ spec: replicas(1), relays: [relay(0)] }), CONTEXT)
  assert.deepEqual(JSON.parse(JSON.stringify(memory)), memory)
})
