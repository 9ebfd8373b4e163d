import { decide, type ScalingDecision } from '../../autoscaler/decide.ts'
import type { Action, ObservedCluster } from '../contract.ts'
import type { ClusterMemory } from '../memory.ts'
import { assess, type ClusterView, type PlanContext } from '../view.ts'
import { publishAddresses } from './addresses.ts'
import { checks } from './checks.ts'
import { create, undrain } from './create.ts'
import { deleteDrained, deleteEnded } from './delete.ts'
import { leaveNodes, makeRoom, retireLost, scaleDown } from './drain.ts'
import { retireHandedOver } from './hand-over.ts'
import { config, keyRing } from './prerequisites.ts'
import { type PlanRule, type Roles, rolesOf } from './roles.ts'

/** The rules, in the order in which their actions are performed. */
const RULES: readonly PlanRule[] = [
  keyRing,
  config,
  publishAddresses,
  checks,
  undrain,
  create,
  leaveNodes,
  retireLost,
  retireHandedOver,
  scaleDown,
  makeRoom,
  deleteEnded,
  deleteDrained,
]

/** What is to be done, and what it was decided from. */
export interface Plan {
  actions: Action[]
  view: ClusterView
  scaling: ScalingDecision
  memory: ClusterMemory
}

/** Decides everything: the one place from the world as observed to the steps to take. */
export function plan(observed: ObservedCluster, context: PlanContext): Plan {
  const view = assess(observed, context)
  const roles = rolesOf(view)
  const { spec, status } = observed.cluster
  const { decision, memory } = decide(
    spec,
    fleetLoad(view, roles),
    status.autoscaling?.desired,
    view.memory.autoscaler,
    view.nowMs,
  )
  const input = { view, scaling: decision, roles }
  // What belongs to a cluster that is being deleted goes with it; its relays drain on their own.
  const rules = observed.cluster.metadata.deletionTimestamp === undefined ? RULES : []
  const actions: Action[] = []
  for (const rule of rules) actions.push(...rule(input, actions))
  return { actions, view, scaling: decision, memory: { ...view.memory, autoscaler: memory } }
}

function fleetLoad({ observed }: ClusterView, { counted, leaving }: Roles) {
  const relays = [...counted, ...leaving]
  const zones = new Set(relays.map(({ node }) => node?.zone).filter((zone) => zone !== undefined))
  return {
    allocations: relays.reduce((sum, { allocations }) => sum + (allocations ?? 0), 0),
    capacityPerRelay: observed.cluster.spec.limits.allocationsPerRelay,
    zones: Math.max(1, zones.size),
    complete: relays.every(({ state, fresh }) => state !== 'Ready' || fresh),
    relays: relays.map(({ relay, state }) => ({
      uid: relay.uid,
      ready: state === 'Ready',
      createdAtMs: relay.createdAtMs,
    })),
  }
}
