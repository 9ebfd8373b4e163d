import type { ScalingDecision } from '../../autoscaler/decide.ts'
import type { Action } from '../contract.ts'
import { LEAST_RELAY_AGE_SECONDS } from '../limits.ts'
import type { AssessedRelay } from '../relay-state.ts'
import type { ClusterView } from '../view.ts'

/** What a rule of the plan decides from. */
export interface PlanInput {
  view: ClusterView
  scaling: ScalingDecision
  roles: Roles
}

/** A rule: what it wants done, given what the rules before it want done. */
export type PlanRule = (input: PlanInput, before: readonly Action[]) => Action[]

/** The relays by the part that they play in the count. */
export interface Roles {
  /** Fill a place of the wanted number: everything that serves, or is on its way to. */
  counted: AssessedRelay[]
  ready: AssessedRelay[]
  /** On a node that must be left. */
  leaving: AssessedRelay[]
  draining: AssessedRelay[]
  /** Lost, and no longer filling a place. */
  lost: AssessedRelay[]
}

export function rolesOf({ relays, nowMs }: ClusterView): Roles {
  const roles: Roles = { counted: [], ready: [], leaving: [], draining: [], lost: [] }
  for (const assessed of relays) {
    if (assessed.relay.terminating) continue
    if (assessed.state === 'Ready') roles.ready.push(assessed)
    if (assessed.relay.drain) roles.draining.push(assessed)
    else if (assessed.state === 'Lost' && !endedYoung(assessed, nowMs)) roles.lost.push(assessed)
    else if (assessed.node?.leaving !== undefined) roles.leaving.push(assessed)
    else roles.counted.push(assessed)
  }
  return roles
}

/** A relay that ended soon after its creation keeps its place for a while, so that a broken one makes no hot loop. */
export function endedYoung({ relay }: AssessedRelay, nowMs: number): boolean {
  return relay.phase === 'Ended' && nowMs - relay.createdAtMs < LEAST_RELAY_AGE_SECONDS * 1000
}

/** Reasons of the plan's own drains; only these are taken back by itself, never a person's. */
export const DRAIN_REASONS = {
  scaleDown: 'ScaleDown',
  nodeLeaving: 'NodeLeaving',
  oldRevision: 'OldRevision',
  lost: 'RelayLost',
  handedOver: 'HandedOver',
} as const

const OWN_REASONS: ReadonlySet<string> = new Set(Object.values(DRAIN_REASONS))

export function isOwnDrain(reason: string): boolean {
  return OWN_REASONS.has(reason)
}

/** Whether an earlier rule already does something of `kinds` to the relay. */
export function alreadyIn(actions: readonly Action[], uid: string, ...kinds: Action['kind'][]): boolean {
  return actions.some((action) => kinds.includes(action.kind) && 'uid' in action && action.uid === uid)
}
