import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadReport } from '../../../relay/api/load-report.ts'
import type { TurnClusterSpecInput } from '../../api/turn-cluster.ts'
import type { Action, ObservedRelay } from '../contract.ts'
import { publication } from '../publish.ts'
import { CONTEXT, load, NOW, node, OLD_REVISION, observedCluster, relay } from '../testing/fixtures.ts'
import { plan } from './plan.ts'

const SPEC: Partial<TurnClusterSpecInput> = { replicas: 1, update: { strategy: 'HandOver' } }
const old = (ordinal: number, changes: Partial<ObservedRelay> = {}) =>
  relay(ordinal, { revision: OLD_REVISION, ...changes })
/** A relay of the new revision on the node of another. */
const heir = (ordinal: number, at: number, changes: Partial<ObservedRelay> = {}) =>
  relay(ordinal, { node: `node${at}`, addresses: old(at).addresses, ...changes })

interface World {
  relays: ObservedRelay[]
  reports: Record<number, Partial<LoadReport>>
  spec?: Partial<TurnClusterSpecInput>
  nodes?: ReturnType<typeof node>[]
}

function planned({ relays, reports, spec = SPEC, nodes }: World) {
  const loads = new Map(relays.map((of) => [of.uid, load(of, reports[of.ordinal])]))
  return plan(observedCluster({ spec, relays, loads, ...(nodes && { nodes }) }), CONTEXT)
}

function said(world: World): string[] {
  return planned(world).actions.map((action: Action) => {
    if (action.kind === 'create-relay') {
      const { ordinal, succeeds } = action
      return succeeds ? `create ${ordinal} after ${succeeds.relay} on ${succeeds.node}` : `create ${ordinal}`
    }
    return 'uid' in action ? `${action.kind} ${action.uid.replace('uid-', '')}` : action.kind
  })
}

const OFFERED = { handOver: 'offered' } as const
const DONE = { handOver: 'done', state: 'draining', allocations: 2 } as const

const CASES: Record<string, { world: World; does: string[] }> = {
  'an old relay that offers its listeners: a successor on its node': {
    world: { relays: [old(0)], reports: { 0: OFFERED } },
    does: ['create 1 after public-0-0000beef on node0'],
  },
  'an old relay that was started without a hand-over: a new one on a node of its own': {
    world: { relays: [old(0)], reports: {} },
    does: ['create 1'],
  },
  'an old relay that offers, and a spec that surges: a new one on a node of its own': {
    world: { relays: [old(0)], reports: { 0: OFFERED }, spec: { replicas: 1 } },
    does: ['create 1'],
  },
  'a successor that is on its way: nothing else': {
    world: {
      relays: [old(0), heir(1, 0, { ready: false })],
      reports: { 0: OFFERED, 1: { state: 'starting' } },
    },
    does: [],
  },
  'listeners handed over to a relay that does not serve clients yet: the old one stays published': {
    world: {
      relays: [old(0), heir(1, 0, { ready: false })],
      reports: { 0: DONE, 1: { state: 'starting' } },
    },
    does: [],
  },
  'a successor that serves: the old relay drains': {
    world: { relays: [old(0), heir(1, 0)], reports: { 0: DONE, 1: OFFERED } },
    does: ['drain 0'],
  },
  'another relay of the fleet that serves: the one that handed over does not drain for it': {
    world: {
      spec: { ...SPEC, replicas: 2 },
      relays: [old(0), relay(1), heir(2, 0, { ready: false })],
      reports: { 0: DONE, 2: { state: 'starting' } },
    },
    does: [],
  },
  'two old relays: one after the other': {
    world: {
      spec: { ...SPEC, replicas: 2 },
      relays: [old(0), old(1), heir(2, 0)],
      reports: { 0: { ...DONE, allocations: 9 }, 1: OFFERED, 2: OFFERED },
    },
    does: ['drain 0'],
  },
  'the first of two is replaced and drains: the next one': {
    world: {
      spec: { ...SPEC, replicas: 2 },
      relays: [old(0, { drain: { sinceMs: NOW - 9000, reason: 'HandedOver' } }), old(1), heir(2, 0)],
      reports: { 0: { ...DONE, drainAcknowledged: true }, 1: OFFERED, 2: OFFERED },
    },
    does: ['create 3 after public-1-0000beef on node1'],
  },
  'a relay without listeners is not brought back when its revision is wanted again': {
    world: {
      spec: { ...SPEC, replicas: 2 },
      relays: [relay(0, { drain: { sinceMs: NOW - 9000, reason: 'HandedOver' } }), relay(1)],
      reports: { 0: { ...DONE, drainAcknowledged: true } },
    },
    does: ['create 2'],
  },
  'a relay without listeners that carries nothing goes': {
    world: {
      relays: [old(0, { drain: { sinceMs: NOW - 9000, reason: 'HandedOver' } }), heir(1, 0)],
      reports: { 0: { ...DONE, state: 'drained', allocations: 0, drainAcknowledged: true } },
    },
    does: ['delete-relay 0'],
  },
  'an old relay on a node that must be left: no successor there': {
    world: {
      relays: [old(0)],
      reports: { 0: OFFERED },
      nodes: [node('node0', { leaving: 'cordoned' })],
    },
    does: ['create 1'],
  },
  'a fleet that shrinks: relays keep their listeners': {
    world: { relays: [relay(0), relay(1)], reports: { 0: OFFERED, 1: OFFERED } },
    does: ['drain 0'],
  },
}

for (const [name, { world, does }] of Object.entries(CASES)) {
  test(name, () => assert.deepEqual(said(world), does))
}

test('a successor is given the addresses of the relay before, so that it can serve when it has the listeners', () => {
  const [action] = planned({ relays: [old(0)], reports: { 0: OFFERED } }).actions
  assert.deepEqual(action?.kind === 'create-relay' && action.succeeds?.addresses, old(0).addresses)
})

test('a relay that has handed over is handed out until its successor serves at the same address', () => {
  const relays = [old(0), heir(1, 0, { ready: false })]
  const before = planned({ relays, reports: { 0: DONE, 1: { state: 'starting' } } })
  const names = ({ view, actions }: ReturnType<typeof plan>) =>
    publication(view, actions, undefined).relays.map(({ name }) => name)
  assert.deepEqual(names(before), [relays[0]!.name])
  const served = [old(0), heir(1, 0)]
  assert.deepEqual(names(planned({ relays: served, reports: { 0: DONE, 1: OFFERED } })), [served[1]!.name])
})
