import { rfc3339, transition } from '../api/conditions.ts'
import { canonicalJson } from '../api/hash.ts'
import { MAX_STATUS_RELAYS } from '../api/status.ts'
import type { RelayStatus, TurnClusterStatus } from '../api/turn-cluster.ts'
import { CONDITION_TYPES } from '../api/turn-cluster.ts'
import type { ScalingDecision } from '../autoscaler/decide.ts'
import { relayUrls } from '../credentials/ice-urls.ts'
import { relaySelector } from '../specs/names.ts'
import { CONDITIONS, type StatusInput } from './conditions.ts'
import type { PublishedCluster } from './contract.ts'
import { LOAD_STATUS_SECONDS, MAX_STATUS_URIS } from './limits.ts'
import type { AssessedRelay } from './relay-state.ts'

/** The status of a cluster: the same input gives the same status, so that a fleet at rest is written never. */
export function statusOf(input: StatusInput, published: PublishedCluster): TurnClusterStatus {
  const { view, scaling } = input
  const { metadata, status: previous, spec } = view.observed.cluster
  const { relays, nowMs } = view
  const draining = relays.filter(isDraining)
  const active = relays.filter((assessed) => !isDraining(assessed))
  const ready = relays.filter(({ state }) => state === 'Ready')
  const allocations = {
    active: sumAllocations(active),
    draining: sumAllocations(draining),
    capacity: ready.length * spec.limits.allocationsPerRelay,
  }
  const listed = [...relays].sort(byOrdinal).slice(0, MAX_STATUS_RELAYS)
  return {
    observedGeneration: metadata.generation,
    conditions: CONDITION_TYPES.map((type) =>
      transition(previous.conditions, type, CONDITIONS[type](input), metadata.generation, nowMs),
    ),
    replicas: relays.filter(({ relay }) => relay.phase !== 'Ended').length,
    readyReplicas: ready.length,
    drainingReplicas: draining.length,
    selector: relaySelector(metadata.name),
    allocations,
    utilizationPercent:
      allocations.capacity > 0 ? Math.round((allocations.active * 100) / allocations.capacity) : 0,
    autoscaling: scalingStatus(scaling, previous.autoscaling, nowMs),
    relays: listed.map(relayStatus),
    ...(relays.length > listed.length && { relaysOmitted: relays.length - listed.length }),
    uris: uris(published),
  }
}

export interface StatusWrite {
  write: boolean
  /** Since when the stored status differs in load figures only; null where it does not. */
  loadDiffersSinceMs: number | null
}

/**
 * Whether a new status is to be written: at once where more than the load has changed, else when the load has
 * differed for `LOAD_STATUS_SECONDS`, so that neither live calls nor the checks of relays write all the time.
 */
export function statusWrite(
  stored: TurnClusterStatus,
  next: TurnClusterStatus,
  loadDiffersSinceMs: number | null,
  nowMs: number,
): StatusWrite {
  if (sameJson(stored, next)) return { write: false, loadDiffersSinceMs: null }
  if (!sameJson(withoutLoad(stored), withoutLoad(next))) return { write: true, loadDiffersSinceMs: null }
  const sinceMs = loadDiffersSinceMs ?? nowMs
  if (nowMs - sinceMs < LOAD_STATUS_SECONDS * 1000) return { write: false, loadDiffersSinceMs: sinceMs }
  return { write: true, loadDiffersSinceMs: null }
}

function withoutLoad({ allocations, utilizationPercent, relays, autoscaling, ...rest }: TurnClusterStatus) {
  return {
    ...rest,
    known: allocations !== undefined && utilizationPercent !== undefined,
    relays: relays?.map(({ allocations: _live, reason, ...relay }) => ({ ...relay, reason })),
    autoscaling: autoscaling && { desired: autoscaling.desired, binding: autoscaling.binding },
  }
}

function scalingStatus(
  { desired, binding, message }: ScalingDecision,
  previous: TurnClusterStatus['autoscaling'],
  nowMs: number,
): NonNullable<TurnClusterStatus['autoscaling']> {
  const same = previous?.desired === desired && previous.binding === binding
  return { desired, binding, message, time: same ? previous.time : rfc3339(nowMs) }
}

function relayStatus({ relay, state, reason, allocations }: AssessedRelay): RelayStatus {
  const address = relay.addresses[0]?.advertise
  return {
    name: relay.name,
    ...(relay.node !== undefined && { node: relay.node }),
    ...(address !== undefined && { address }),
    state,
    ...(state !== 'Ready' && { reason }),
    ...(allocations !== undefined && { allocations }),
  }
}

function uris(published: PublishedCluster): string[] {
  const relays = [...published.relays].sort((a, b) => (a.name < b.name ? -1 : 1))
  return relays.flatMap((relay) => relayUrls(relay, published)).slice(0, MAX_STATUS_URIS)
}

function isDraining({ relay, state }: AssessedRelay): boolean {
  return state === 'Draining' || state === 'Drained' || relay.drain !== undefined
}

function sumAllocations(relays: readonly AssessedRelay[]): number {
  return relays.reduce((sum, { allocations }) => sum + (allocations ?? 0), 0)
}

function byOrdinal(a: AssessedRelay, b: AssessedRelay): number {
  return a.relay.ordinal - b.relay.ordinal || (a.relay.name < b.relay.name ? -1 : 1)
}

/** Equal as JSON, whatever the order of the keys: the API server orders them its own way. */
function sameJson(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b)
}
