import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TurnClusterStatus } from '../api/turn-cluster.ts'
import type { Action, Driver, Fleet, ObservedCluster, PublishedCluster } from './contract.ts'
import type { ClusterMemory } from './memory.ts'
import { type Reconciler, reconcile } from './reconcile.ts'
import { NOW, observedCluster, relay, STARTED } from './testing/fixtures.ts'

const KEY = 'turn/public'

/** A driver and a fleet that write down what they are asked, in order. */
function recorded(observed: ObservedCluster | undefined, refuses?: Action['kind']) {
  const journal: string[] = []
  const statuses: TurnClusterStatus[] = []
  let published: PublishedCluster | undefined
  const driver: Driver = {
    observe: async () => observed,
    apply: async (_observed, action) => {
      if (action.kind === refuses) throw new Error('forbidden: pods is forbidden')
      journal.push(action.kind)
    },
    writeStatus: async (_observed, status) => {
      journal.push('status')
      statuses.push(status)
    },
  }
  const fleet = {
    published: () => published,
    publish: (cluster: PublishedCluster) => {
      published = cluster
      journal.push('publish')
    },
    setDirectives: () => journal.push('directives'),
    forget: () => journal.push('forget'),
  } as unknown as Fleet
  const memories = new Map<string, ClusterMemory>()
  const reconciler: Reconciler = { driver, fleet, memories, now: () => NOW, startedAtMs: STARTED }
  return { reconciler, journal, statuses, memories }
}

test('publishes, then acts, then tells the relays, then writes the status', async () => {
  const { reconciler, journal } = recorded(
    observedCluster({ spec: { replicas: 1 }, relays: [relay(0), relay(1)] }),
  )
  const result = await reconcile(reconciler, KEY)
  assert.deepEqual(journal, ['publish', 'drain', 'directives', 'status'])
  assert.ok(result && result.againInSeconds <= 2)
})

test('a fleet at rest costs no write', async () => {
  const observed = observedCluster({ relays: [relay(0), relay(1)] })
  const { reconciler, journal, statuses } = recorded(observed)
  await reconcile(reconciler, KEY)
  observed.cluster.status = statuses[0] ?? {}
  await reconcile(reconciler, KEY)
  assert.deepEqual(journal, ['publish', 'directives', 'status', 'publish', 'directives'])
})

test('an action that fails stops those after it, is told in the status, and is tried again', async () => {
  const observed = observedCluster({
    spec: { replicas: 3 },
    relays: [relay(0)],
    changes: { desiredConfigHash: 'c2' },
  })
  const { reconciler, journal, statuses } = recorded(observed, 'create-relay')
  await assert.rejects(reconcile(reconciler, KEY), /creates public-1-0000cafe.*pods is forbidden/)
  assert.deepEqual(journal, ['publish', 'write-config', 'directives', 'status'])
  const degraded = statuses[0]?.conditions?.find(({ type }) => type === 'Degraded')
  assert.equal(degraded?.reason, 'ActionFailed')
  assert.match(degraded?.message ?? '', /pods is forbidden/)
})

test('a cluster that is gone is forgotten', async () => {
  const { reconciler, journal, memories } = recorded(undefined)
  memories.set(KEY, {} as ClusterMemory)
  assert.equal(await reconcile(reconciler, KEY), undefined)
  assert.deepEqual(journal, ['forget'])
  assert.equal(memories.size, 0)
})
