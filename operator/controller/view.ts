import type { ObservedCluster, ObservedNode, ObservedRelay } from './contract.ts'
import { silenceLimit } from './limits.ts'
import { type ClusterMemory, initialMemory, rememberChecks } from './memory.ts'
import { type AssessedRelay, isFresh, neverRan, relayState } from './relay-state.ts'

/** Why relays stay published that would not: when it hits all of them at once, the fault is likely ours. */
type Doubt = 'AllSilent' | 'AllChecksFailed'

/** One moment of a cluster, judged: what every rule, the status and the publication are made from. */
export interface ClusterView {
  observed: ObservedCluster
  nowMs: number
  /** By name. */
  relays: AssessedRelay[]
  memory: ClusterMemory
  doubt: Doubt | undefined
}

export interface PlanContext {
  nowMs: number
  /** When this operator started. */
  startedAtMs: number
  /** What the last run left; undefined on the first. */
  memory: ClusterMemory | undefined
}

/** Judges every relay. */
export function assess(observed: ObservedCluster, context: PlanContext): ClusterView {
  const memory = rememberChecks(observed, context.memory ?? initialMemory(observed, context.startedAtMs))
  const nodes = new Map(observed.nodes.map((node) => [node.name, node]))
  const allocations = new Map(observed.cluster.status.relays?.map((entry) => [entry.name, entry.allocations]))
  const relays = observed.relays
    .map((relay) => {
      const node = relay.node === undefined ? undefined : nodes.get(relay.node)
      return assessRelay(observed, context, memory, relay, node, allocations.get(relay.name))
    })
    .sort((a, b) => (a.relay.name < b.relay.name ? -1 : 1))
  const doubt = relays.some(({ state }) => state === 'Ready') ? undefined : giveBenefitOfDoubt(relays, memory)
  return { observed, nowMs: context.nowMs, relays, memory, doubt }
}

function assessRelay(
  observed: ObservedCluster,
  { nowMs, startedAtMs }: PlanContext,
  memory: ClusterMemory,
  relay: ObservedRelay,
  node: ObservedNode | undefined,
  rememberedAllocations: number | undefined,
): AssessedRelay {
  const silenceLimitSeconds = silenceLimit(observed.relays.length)
  const load = observed.loads.get(relay.uid)
  const verified = memory.verified[relay.uid]
  return {
    relay,
    node,
    ...relayState({
      relay,
      node,
      nodesKnown: observed.nodes.length > 0,
      load,
      check: observed.checks.get(relay.uid),
      verifiedAddress: verified?.failed ? undefined : verified?.address,
      nowMs,
      startedAtMs,
      silenceLimitSeconds,
    }),
    report: load?.report,
    fresh: isFresh(load, nowMs, silenceLimitSeconds),
    allocations: load?.report.allocations ?? rememberedAllocations,
    current: relay.revision === observed.revision,
    neverRan: neverRan(relay),
  }
}

/**
 * Relays that were Ready, that their node calls ready, and that all fell silent or all fail their check at once,
 * stay Ready: taking the last one away helps no client, and an operator that cannot hear must not close a fleet.
 */
function giveBenefitOfDoubt(relays: AssessedRelay[], memory: ClusterMemory): Doubt | undefined {
  const verified = relays.filter(({ relay }) => {
    const entry = memory.verified[relay.uid]
    return (
      relay.ready && !relay.drain && !relay.terminating && entry?.address === relay.addresses[0]?.advertise
    )
  })
  const silent = verified.filter(({ reason }) => reason === 'ReportLate' || reason === 'Silent')
  const failing = verified.filter(({ reason }) => reason === 'CheckFailed')
  const [doubted, doubt] =
    failing.length > 0 ? ([failing, 'AllChecksFailed'] as const) : ([silent, 'AllSilent'] as const)
  for (const assessed of doubted) assessed.state = 'Ready'
  return doubted.length > 0 ? doubt : undefined
}
