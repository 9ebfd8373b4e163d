import type { LoadReport } from '../api/load-report.ts'
import type { RevocationList } from '../api/revocations.ts'
import type { BoundListener, IoCounters } from '../io/io.ts'
import type { LoopTimes } from '../shard/loop-times.ts'
import type { Traffic } from '../shard/traffic.ts'
import type { TurnCounters } from '../turn/counters.ts'
import type { Certificate } from './certificate.ts'
import type { Problem } from './settings.ts'

/** All that can be said of a running relay, read at one moment; reports, metrics and health are made of it. */
export interface RelayStatus {
  readonly identity: { readonly uid: string; readonly name: string; readonly cluster: string }
  readonly version: string
  readonly startedAtMs: number
  readonly state: LoadReport['state']
  readonly draining: boolean
  readonly allocations: number
  readonly permissions: number
  readonly channels: number
  /** To and from TCP peers. */
  readonly peerConnections: number
  readonly capacity: number
  readonly counters: Readonly<TurnCounters>
  readonly traffic: Traffic
  readonly io: Readonly<IoCounters>
  readonly loopTimes: Readonly<LoopTimes>
  readonly faults: number
  readonly addresses: readonly string[]
  /** Each with the realm that it challenges for, where that is not the default one. */
  readonly listeners: readonly (BoundListener & { readonly realm: string | undefined })[]
  /** Whether the next relay may have the listeners, or has them. */
  readonly handOver: LoadReport['handOver']
  /** Every listener of the configuration is bound. */
  readonly listening: boolean
  readonly keyIds: readonly string[]
  /** Static users. */
  readonly users: number
  readonly certificate: Certificate | undefined
  readonly problems: readonly Problem[]
  readonly configGeneration: number
  readonly configErrors: number
  readonly revocations: RevocationList
  readonly reportsSent: number
  readonly reportsFailed: number
}

/** Why new clients cannot be served; empty when they can. A draining relay is ready: it serves those it has. */
export function unready(status: RelayStatus): string[] {
  const reasons: string[] = []
  if (!status.listening) reasons.push('a listener is not bound')
  if (status.addresses.length === 0) reasons.push('there is no public address')
  if (status.keyIds.length === 0 && status.users === 0) reasons.push('there is no credential key and no user')
  return reasons
}

const MESSAGE_LENGTH_MAX = 1024
const PROBLEMS_MAX = 16
const LISTENERS_MAX = 32

/** What the operator is told; `sequence` grows by one a report. */
export function loadReportOf(status: RelayStatus, sequence: number): LoadReport {
  const { counters, certificate } = status
  const cpu = process.cpuUsage()
  return {
    ...status.identity,
    version: status.version,
    sequence,
    startedAtMs: status.startedAtMs,
    state: status.state,
    drainAcknowledged: status.draining,
    ...(status.handOver && { handOver: status.handOver }),
    allocations: status.allocations,
    capacity: status.capacity,
    allocationsOpenedTotal: counters.opened,
    bytesTotal: counters.clientBytes + counters.peerBytes,
    packetsTotal: counters.clientPackets + counters.peerPackets,
    offloadedPacketsTotal: counters.offloaded.clientPackets + counters.offloaded.peerPackets,
    addresses: [...status.addresses],
    listeners: status.listeners
      .slice(0, LISTENERS_MAX)
      .map(({ protocol, port, realm }) => ({ protocol, port, ...(realm !== undefined && { realm }) })),
    keyIds: status.keyIds.slice(0, 16),
    ...(certificate && { tls: { fingerprint: certificate.fingerprint, notAfterMs: certificate.notAfterMs } }),
    problems: status.problems
      .slice(0, PROBLEMS_MAX)
      .map(({ reason, message }) => ({ reason, message: message.slice(0, MESSAGE_LENGTH_MAX) })),
    revocations: status.revocations.generation,
    rssBytes: process.memoryUsage.rss(),
    cpuSecondsTotal: (cpu.user + cpu.system) / 1e6,
  }
}
