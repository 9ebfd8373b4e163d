import type { Action, ClusterKey, Driver, Fleet, ObservedCluster } from './contract.ts'
import { directivesOf } from './directives.ts'
import { RECONCILE_SECONDS } from './limits.ts'
import type { ClusterMemory } from './memory.ts'
import { plan } from './plan/plan.ts'
import { rolesOf } from './plan/roles.ts'
import { publication } from './publish.ts'
import { statusOf, statusWrite } from './status.ts'

/** What the loop works with; everything of it is handed in. */
export interface Reconciler {
  driver: Driver
  fleet: Fleet
  /** Unix time in milliseconds. */
  now(): number
  startedAtMs: number
  memories: Map<ClusterKey, ClusterMemory>
  /** Told of each action that was performed. */
  onAction?(key: ClusterKey, action: Action): void
}

/** Observe → plan → apply → status, once; says after how long to look again. Undefined: the cluster is gone. */
export async function reconcile(
  reconciler: Reconciler,
  key: ClusterKey,
): Promise<{ againInSeconds: number } | undefined> {
  const { driver, fleet, memories, startedAtMs } = reconciler
  const observed = await driver.observe(key)
  if (!observed) {
    memories.delete(key)
    fleet.forget(key)
    return undefined
  }
  if (observed.revocations) fleet.setRevocations(key, observed.revocations)
  const nowMs = reconciler.now()
  const { actions, view, scaling, memory } = plan(observed, { nowMs, startedAtMs, memory: memories.get(key) })
  // Clients are sent elsewhere before a relay is told to drain.
  const published = publication(view, actions, fleet.published(key)?.keyRing)
  fleet.publish(published)
  const { done, failure } = await perform(reconciler, observed, actions)
  fleet.setDirectives(key, directivesOf(view, done, published))
  const status = statusOf({ view, scaling, roles: rolesOf(view), failure: failure?.message }, published)
  const { write, loadDiffersSinceMs } = statusWrite(
    observed.cluster.status,
    status,
    memory.loadDiffersSinceMs,
    nowMs,
  )
  memories.set(key, { ...memory, loadDiffersSinceMs })
  if (write) await driver.writeStatus(observed, status)
  if (failure) throw failure
  return { againInSeconds: observed.relays.length > 0 ? RECONCILE_SECONDS.busy : RECONCILE_SECONDS.idle }
}

/** Performs the actions in order and stops at the first that fails: later ones may rest on it. */
async function perform(
  { driver, onAction }: Reconciler,
  observed: ObservedCluster,
  actions: readonly Action[],
): Promise<{ done: Action[]; failure?: Error }> {
  const done: Action[] = []
  for (const action of actions) {
    try {
      await driver.apply(observed, action)
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error)
      return { done, failure: new Error(`${action.message}: ${cause}`, { cause: error }) }
    }
    done.push(action)
    onAction?.(observed.key, action)
  }
  return { done }
}
