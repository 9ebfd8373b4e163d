import type { LoadReport } from '../../relay/api/load-report.ts'
import type { RelayState, TurnClusterStatus } from '../api/turn-cluster.ts'
import type { ClusterKey, Fleet, RelayCheck, RelayLoad } from '../controller/contract.ts'

/** One relay as the console and the plugin show it. */
interface RelayView {
  name: string
  uid: string
  state: RelayState
  addresses: string[]
  listeners: { protocol: string; port: number }[]
  allocations: number
  capacity: number
  zone?: string
  version?: string
  /** How old the last report is; absent: none came. */
  reportAgeSeconds?: number
  bytesTotal?: number
  check?: { state: RelayCheck['state']; message: string }
  problems: { reason: string; message: string }[]
}

export interface ClusterView {
  key: ClusterKey
  realm: string
  ready: number
  allocations: { active: number; capacity: number }
  relays: RelayView[]
  /** As last computed by the reconcile loop. */
  status?: TurnClusterStatus
  /** What a browser's user must know of the relays' certificate; absent: nothing is wrong with it. */
  certificateHint?: string
}

/** What only the composition knows of a cluster. */
export interface ClusterExtras {
  status?: TurnClusterStatus | undefined
  certificateHint?: string | undefined
}

const RELAYS_SHOWN_MAX = 1000
/** Reports come every few seconds; a relay that missed so many is not heard any more. */
const SILENT_AFTER_MS = 20_000

/** What is known of a cluster, undefined where nothing was published of it. */
export function viewCluster(
  fleet: Fleet,
  key: ClusterKey,
  nowMs: number,
  { status, certificateHint }: ClusterExtras = {},
): ClusterView | undefined {
  const published = fleet.published(key)
  if (!published) return undefined
  const checks = fleet.checks(key)
  const zones = new Map(published.relays.map((relay) => [relay.uid, relay]))
  const stated = new Map(status?.relays?.map((relay) => [relay.name, relay.state]))
  const relays: RelayView[] = []
  for (const load of newestByName(fleet.loads(key))) {
    const { uid, name } = load.report
    // The status knows which relays exist; what it does not list has gone.
    if (status?.relays && !status.relaysOmitted && !stated.has(name) && !zones.has(uid)) continue
    const state = stated.get(name) ?? stateOf(load, checks.get(uid), zones.has(uid), nowMs)
    const zone = zones.get(uid)?.zone
    relays.push(relayView(load, state, checks.get(uid), zone, nowMs))
  }
  relays.sort((a, b) => a.name.localeCompare(b.name))
  const ready = relays.filter((relay) => relay.state === 'Ready')
  const sum = (pick: (relay: RelayView) => number, of: RelayView[]) =>
    of.reduce((total, relay) => total + pick(relay), 0)
  return {
    key,
    realm: published.realm,
    ready: ready.length,
    allocations: { active: sum((r) => r.allocations, relays), capacity: sum((r) => r.capacity, ready) },
    relays: relays.slice(0, RELAYS_SHOWN_MAX),
    ...(status ? { status } : {}),
    ...(certificateHint === undefined ? {} : { certificateHint }),
  }
}

/** A relay that was replaced under its name is remembered for a while, and is not there any more. */
function newestByName(loads: ReadonlyMap<string, RelayLoad>): Iterable<RelayLoad> {
  const newest = new Map<string, RelayLoad>()
  for (const load of loads.values()) {
    const other = newest.get(load.report.name)
    if (!other || other.report.startedAtMs < load.report.startedAtMs) newest.set(load.report.name, load)
  }
  return newest.values()
}

function relayView(
  { report, receivedAtMs }: RelayLoad,
  state: RelayState,
  check: RelayCheck | undefined,
  zone: string | undefined,
  nowMs: number,
): RelayView {
  const { name, uid, addresses, listeners, allocations, capacity, version, bytesTotal, problems } = report
  return {
    name,
    uid,
    state,
    addresses,
    listeners: listeners.map(({ protocol, port }) => ({ protocol: protocol.toUpperCase(), port })),
    allocations,
    capacity,
    version,
    bytesTotal,
    problems,
    reportAgeSeconds: Math.round(Math.max(0, nowMs - receivedAtMs) / 100) / 10,
    ...(zone === undefined ? {} : { zone }),
    ...(check ? { check: { state: check.state, message: check.message } } : {}),
  }
}

function stateOf(
  { report, receivedAtMs }: RelayLoad,
  check: RelayCheck | undefined,
  published: boolean,
  nowMs: number,
): RelayState {
  if (nowMs - receivedAtMs > SILENT_AFTER_MS) return 'Lost'
  const byReport: Partial<Record<LoadReport['state'], RelayState>> = {
    starting: 'Starting',
    draining: 'Draining',
    drained: 'Drained',
  }
  return (
    byReport[report.state] ?? (published ? 'Ready' : check?.state === 'passed' ? 'Starting' : 'Verifying')
  )
}
