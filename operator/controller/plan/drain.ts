import { pickVictims } from '../../autoscaler/victims.ts'
import type { Action } from '../contract.ts'
import type { AssessedRelay } from '../relay-state.ts'
import { DRAIN_REASONS, type PlanInput, type PlanRule } from './roles.ts'

/** Share of an autoscaled fleet that drains at the same time, at least one relay. */
const DRAINING_SHARE = 0.1

/** Empties relays on nodes that must be left; the last Ready one only when another has taken its place. */
export const leaveNodes: PlanRule = ({ roles }) => {
  let ready = roles.ready.length
  return roles.leaving.flatMap((assessed): Action[] => {
    if (assessed.state === 'Ready' && ready-- <= 1) return []
    return [goodbye(assessed, DRAIN_REASONS.nodeLeaving, `its node must be left: ${assessed.node?.leaving}`)]
  })
}

/** Empties relays that were lost and have been replaced, so that one that comes back does not stay for good. */
export const retireLost: PlanRule = ({ roles, scaling }) => {
  if (roles.ready.length < scaling.desired) return []
  return roles.lost
    .filter(({ relay, node }) => relay.phase !== 'Ended' && node !== undefined)
    .map((assessed) =>
      goodbye(assessed, DRAIN_REASONS.lost, `it was lost (${assessed.message}) and is replaced`),
    )
}

/**
 * Empties relays that are more than wanted. As many stay Ready as are wanted, and that number has room for the
 * buffer in it, so that those that stay have it too.
 */
export const scaleDown: PlanRule = (input, before) => {
  const { roles, scaling } = input
  const surplus = roles.counted.length - scaling.desired
  if (surplus <= 0) return []
  const drainsBefore = before.filter(({ kind }) => kind === 'drain').length
  let ready = roles.ready.length - drainsBefore
  let slots = drainSlots(input)
  const going = new Set<string>()
  for (const { assessed } of pickVictims(roles.counted.map(candidate), surplus)) {
    if (assessed.state === 'Ready') {
      if (ready <= scaling.desired || slots <= 0) break
      ready--
      slots--
    }
    going.add(assessed.relay.uid)
  }
  return roles.counted
    .filter(({ relay }) => going.has(relay.uid))
    .map((assessed) =>
      assessed.current
        ? goodbye(assessed, DRAIN_REASONS.scaleDown, input.scaling.message)
        : goodbye(assessed, DRAIN_REASONS.oldRevision, 'a relay of the new revision has taken its place'),
    )
}

/**
 * Where no node is free for a new relay, one old relay at a time makes room for it: only while nothing else
 * drains, and never the last Ready one while it carries calls.
 */
export const makeRoom: PlanRule = ({ view, roles }, before) => {
  const busy = before.some(({ kind }) => kind === 'drain' || kind === 'delete-relay')
  const unplaced = roles.counted.filter(({ current, state }) => current && state !== 'Ready')
  const [waiting] = unplaced
  if (busy || !waiting || unplaced.some(({ reason }) => reason !== 'Unschedulable')) return []
  if (view.relays.some(({ relay }) => relay.drain || relay.terminating)) return []
  const [victim] = pickVictims(roles.counted.filter(({ current }) => !current).map(candidate), 1)
  if (!victim) return []
  const { assessed } = victim
  const idle = assessed.fresh && assessed.allocations === 0
  if (assessed.state === 'Ready' && roles.ready.length <= 1 && !idle) return []
  return [goodbye(assessed, DRAIN_REASONS.oldRevision, `no node is free for ${waiting.relay.name}`)]
}

/** How many more Ready relays may start to drain. */
function drainSlots({ view, roles }: PlanInput): number {
  if (!view.observed.cluster.spec.autoscaling.enabled) return Number.POSITIVE_INFINITY
  const drains = roles.draining.filter(({ relay }) => relay.drain?.reason === DRAIN_REASONS.scaleDown).length
  return Math.max(1, Math.floor(roles.ready.length * DRAINING_SHARE)) - drains
}

/** A relay as the choice of who goes first sees it. */
export function candidate(assessed: AssessedRelay) {
  const { relay, node, current, fresh, neverRan, allocations } = assessed
  return {
    assessed,
    name: relay.name,
    nodeLeaving: node?.leaving !== undefined,
    current,
    ready: assessed.state === 'Ready',
    ...(node?.zone !== undefined && { zone: node.zone }),
    allocations: neverRan ? 0 : fresh ? allocations : undefined,
    createdAtMs: relay.createdAtMs,
  }
}

/** A relay that never ran goes at once; every other one drains first. */
export function goodbye({ relay, neverRan }: AssessedRelay, reason: string, why: string): Action {
  if (neverRan) {
    const message = `deletes ${relay.name}, which does not run: ${why}`
    return { kind: 'delete-relay', relay: relay.name, uid: relay.uid, forced: false, reason, message }
  }
  return { kind: 'drain', relay: relay.name, uid: relay.uid, reason, message: `drains ${relay.name}: ${why}` }
}
