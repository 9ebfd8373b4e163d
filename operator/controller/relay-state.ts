import type { LoadReport } from '../../relay/api/load-report.ts'
import type { RelayState } from '../api/turn-cluster.ts'
import { counted } from '../api/words.ts'
import type { ObservedNode, ObservedRelay, RelayCheck, RelayLoad } from './contract.ts'
import { LOST_SECONDS, RECOVERY_SECONDS } from './limits.ts'

/** A relay with what is known of it: the input of every rule. */
export interface AssessedRelay {
  relay: ObservedRelay
  node: ObservedNode | undefined
  state: RelayState
  reason: string
  message: string
  /** The newest report, fresh or not. */
  report: LoadReport | undefined
  /** Whether that report is young enough to decide on. */
  fresh: boolean
  /** Live allocations as last known. */
  allocations: number | undefined
  /** Has the revision that the spec asks for. */
  current: boolean
  /** Nothing of it runs, so that it cannot carry a call. */
  neverRan: boolean
}

/** Everything that the state of one relay is derived from. */
export interface RelayFacts {
  relay: ObservedRelay
  node: ObservedNode | undefined
  /** Whether the nodes could be read at all. */
  nodesKnown: boolean
  load: RelayLoad | undefined
  check: RelayCheck | undefined
  /** The public address that a check has passed through, remembered. */
  verifiedAddress: string | undefined
  nowMs: number
  startedAtMs: number
  silenceLimitSeconds: number
}

export interface StateOf {
  state: RelayState
  reason: string
  message: string
}

type Rule = (facts: RelayFacts) => StateOf | undefined

/** The state of a relay: the first rule that has something to say decides. */
export function relayState(facts: RelayFacts): StateOf {
  for (const rule of RULES) {
    const state = rule(facts)
    if (state) return state
  }
  return { state: 'Ready', reason: 'Serving', message: 'serves clients' }
}

const RULES: readonly Rule[] = [
  terminating,
  ended,
  nodeGone,
  draining,
  waiting,
  silent,
  notReady,
  withoutAddress,
  notServing,
  notVerified,
]

/** Whether nothing of the relay runs: no call can be on it, whatever is known of its load. */
export function neverRan(relay: ObservedRelay): boolean {
  return relay.phase !== 'Running' || (relay.trouble !== undefined && !relay.ready)
}

/** Whether a report is young enough to decide on. */
export function isFresh(load: RelayLoad | undefined, nowMs: number, silenceLimitSeconds: number): boolean {
  return load !== undefined && nowMs - load.receivedAtMs < silenceLimitSeconds * 1000
}

function terminating({ relay }: RelayFacts): StateOf | undefined {
  if (!relay.terminating) return undefined
  return { state: 'Draining', reason: 'Terminating', message: 'is being deleted' }
}

function ended({ relay }: RelayFacts): StateOf | undefined {
  if (relay.phase !== 'Ended') return undefined
  const { reason, message } = relay.trouble ?? { reason: 'RelayEnded', message: 'its process has ended' }
  return { state: 'Lost', reason, message }
}

function nodeGone({ relay, node, nodesKnown }: RelayFacts): StateOf | undefined {
  if (relay.node === undefined || node !== undefined || !nodesKnown) return undefined
  return { state: 'Lost', reason: 'NodeGone', message: `node ${relay.node} is gone` }
}

function draining(facts: RelayFacts): StateOf | undefined {
  const { relay, load, nowMs, silenceLimitSeconds } = facts
  if (!relay.drain) return undefined
  if (neverRan(relay))
    return { state: 'Drained', reason: 'NeverRan', message: 'does not run and carries nothing' }
  if (!load || !isFresh(load, nowMs, silenceLimitSeconds)) {
    return {
      state: 'Draining',
      reason: 'LoadUnknown',
      message: 'drains and is silent, so that it counts as busy',
    }
  }
  const { report, receivedAtMs } = load
  if (receivedAtMs <= relay.drain.sinceMs || !report.drainAcknowledged) {
    return { state: 'Draining', reason: 'DrainUnacknowledged', message: 'has been told to drain' }
  }
  if (report.allocations > 0) {
    return {
      state: 'Draining',
      reason: relay.drain.reason,
      message: `waits for ${counted(report.allocations, 'allocation')} to end`,
    }
  }
  return { state: 'Drained', reason: 'Empty', message: 'has acknowledged the drain and carries nothing' }
}

function waiting({ relay, node }: RelayFacts): StateOf | undefined {
  if (relay.trouble && !relay.ready) {
    const state = relay.node === undefined ? 'Pending' : 'Starting'
    return { state, reason: relay.trouble.reason, message: relay.trouble.message }
  }
  if (relay.phase !== 'Pending') return undefined
  if (relay.node === undefined) {
    return { state: 'Pending', reason: 'WaitingForNode', message: 'waits for the scheduler to find a node' }
  }
  return {
    state: 'Starting',
    reason: 'ContainerStarting',
    message: `starts on node ${node?.name ?? relay.node}`,
  }
}

/** Silence of a relay that has been heard before, or that was Ready before this process began. */
function silent(facts: RelayFacts): StateOf | undefined {
  const { relay, node, load, nowMs, startedAtMs, silenceLimitSeconds } = facts
  if (isFresh(load, nowMs, silenceLimitSeconds)) return undefined
  const known = load !== undefined || facts.verifiedAddress !== undefined
  const downNode = node !== undefined && !node.ready
  if (!known && !downNode) {
    const reason = relay.ready ? 'NoReportYet' : 'NotReady'
    return { state: 'Starting', reason, message: 'runs, and has not reported yet' }
  }
  if (!load && relay.ready && nowMs - startedAtMs < RECOVERY_SECONDS * 1000) return undefined
  const silentSeconds = Math.floor((nowMs - (load?.receivedAtMs ?? startedAtMs)) / 1000)
  if (downNode) return { state: 'Lost', reason: 'NodeNotReady', message: `node ${node.name} is not ready` }
  if (silentSeconds >= LOST_SECONDS) {
    return {
      state: 'Lost',
      reason: 'Silent',
      message: 'has stopped reporting; look at its log and at its way to the operator',
    }
  }
  return { state: 'Verifying', reason: 'ReportLate', message: 'its report is late' }
}

function notReady({ relay }: RelayFacts): StateOf | undefined {
  if (relay.ready) return undefined
  return { state: 'Starting', reason: 'NotReady', message: 'its readiness probe does not pass' }
}

function withoutAddress({ relay, load }: RelayFacts): StateOf | undefined {
  const address = relay.addresses[0]?.advertise
  if (address === undefined) {
    return { state: 'Starting', reason: 'NoPublicAddress', message: 'its node has no public address' }
  }
  if (!load || load.report.addresses.includes(address)) return undefined
  return { state: 'Verifying', reason: 'AddressPending', message: `has not taken over ${address} yet` }
}

function notServing({ load }: RelayFacts): StateOf | undefined {
  // After a hand-over its address is served on, by the relay that has its listeners.
  if (!load || load.report.state === 'serving' || load.report.handOver === 'done') return undefined
  if (load.report.state === 'starting') {
    return { state: 'Starting', reason: 'RelayStarting', message: 'opens its listeners' }
  }
  return { state: 'Verifying', reason: 'Undraining', message: 'has been told to serve again' }
}

function notVerified({ relay, check, verifiedAddress }: RelayFacts): StateOf | undefined {
  const address = relay.addresses[0]?.advertise
  if (verifiedAddress !== undefined && verifiedAddress === address) return undefined
  if (check?.state === 'failed' && check.address === address) {
    return {
      state: 'Verifying',
      reason: 'CheckFailed',
      message: `no traffic passes through ${address}: ${check.message}`,
    }
  }
  return { state: 'Verifying', reason: 'Checking', message: `is being checked through ${address}` }
}
