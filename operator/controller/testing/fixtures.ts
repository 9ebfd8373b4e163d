import type { LoadReport } from '../../../relay/api/load-report.ts'
import { type TurnCluster, type TurnClusterSpecInput, turnClusterSpec } from '../../api/turn-cluster.ts'
import { relayName } from '../../specs/names.ts'
import type { ObservedCluster, ObservedNode, ObservedRelay, RelayCheck, RelayLoad } from '../contract.ts'

/** Makers of the records that the decisions are made from, for tests. */

/** The clock of the tests: a while after the operator's start. */
export const NOW = Date.UTC(2026, 0, 1, 12)
export const STARTED = NOW - 3_600_000
const REVISION = '0000cafe'
export const OLD_REVISION = '0000beef'
export const CONTEXT = { nowMs: NOW, startedAtMs: STARTED, memory: undefined }

export function turnCluster(spec: Partial<TurnClusterSpecInput> = {}): TurnCluster {
  return {
    metadata: { name: 'public', namespace: 'turn', uid: 'cluster-uid', generation: 3 },
    spec: turnClusterSpec.parse({ realm: 'turn.example.org', ...spec }),
    status: {},
  }
}

export function node(name: string, changes: Partial<ObservedNode> = {}): ObservedNode {
  const address = `203.0.113.${Number(/\d+$/.exec(name)?.[0] ?? 0) + 10}`
  return {
    name,
    ready: true,
    annotatedAddresses: [],
    externalAddresses: [address],
    internalAddresses: ['10.0.0.1'],
    ...changes,
  }
}

/** A relay of `ordinal` that runs on the node of its number and has its address. */
export function relay(ordinal: number, changes: Partial<ObservedRelay> = {}): ObservedRelay {
  const revision = changes.revision ?? REVISION
  return {
    name: relayName('public', ordinal, revision),
    uid: `uid-${ordinal}`,
    ordinal,
    revision,
    createdAtMs: NOW - 1_800_000,
    node: `node${ordinal}`,
    phase: 'Running',
    ready: true,
    terminating: false,
    addresses: [{ advertise: `203.0.113.${ordinal + 10}` }],
    ...changes,
  }
}

export function report(of: ObservedRelay, changes: Partial<LoadReport> = {}): LoadReport {
  return {
    uid: of.uid,
    name: of.name,
    cluster: 'turn/public',
    version: '0.1.0',
    sequence: 1,
    startedAtMs: of.createdAtMs,
    state: 'serving',
    drainAcknowledged: false,
    allocations: 0,
    capacity: 4000,
    allocationsOpenedTotal: 0,
    bytesTotal: 0,
    packetsTotal: 0,
    addresses: of.addresses.map(({ advertise }) => advertise),
    listeners: [{ protocol: 'udp', port: 3478 }],
    keyIds: ['k1'],
    problems: [],
    rssBytes: 0,
    cpuSecondsTotal: 0,
    ...changes,
  }
}

/** A load report received `ageSeconds` ago. */
export function load(of: ObservedRelay, changes: Partial<LoadReport> = {}, ageSeconds = 1): RelayLoad {
  return { report: report(of, changes), receivedAtMs: NOW - ageSeconds * 1000 }
}

export function check(of: ObservedRelay, changes: Partial<RelayCheck> = {}): RelayCheck {
  const address = of.addresses[0]?.advertise ?? ''
  return { state: 'passed', atMs: NOW - 10_000, address, message: 'echoed', ...changes }
}

export const KEY_RING = {
  keys: [{ id: 'k1', secret: 'first' }],
  nonceKeys: [{ id: 'n1', secret: 'nonce' }],
}

export interface WorldOf {
  spec?: Partial<TurnClusterSpecInput>
  relays?: ObservedRelay[]
  nodes?: ObservedNode[]
  loads?: Map<string, RelayLoad>
  checks?: Map<string, RelayCheck>
  changes?: Partial<ObservedCluster>
}

/** A cluster whose relays all serve, report and have passed their check, unless told otherwise. */
export function observedCluster({
  spec,
  relays = [],
  nodes,
  loads,
  checks,
  changes,
}: WorldOf = {}): ObservedCluster {
  return {
    key: 'turn/public',
    cluster: turnCluster(spec),
    revision: REVISION,
    relays,
    nodes: nodes ?? Array.from({ length: 8 }, (_, index) => node(`node${index}`)),
    foreign: [],
    keyRing: { state: 'valid', value: KEY_RING, contentHash: 'h' },
    loads: new Map([...relays.map((of) => [of.uid, load(of)] as const), ...(loads ?? [])]),
    checks: new Map([...relays.map((of) => [of.uid, check(of)] as const), ...(checks ?? [])]),
    configHash: 'c1',
    desiredConfigHash: 'c1',
    ...changes,
  }
}
