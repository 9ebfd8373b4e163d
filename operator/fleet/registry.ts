import type { Directives, LoadReport } from '../../relay/api/load-report.ts'
import type { RevocationList } from '../../relay/api/revocations.ts'
import type {
  ClusterKey,
  Fleet,
  FleetEvent,
  PublishedCluster,
  RelayCheck,
  RelayLoad,
} from '../controller/contract.ts'
import { EventHub } from './event-hub.ts'
import { type CheckOutcome, type CheckTarget, type RelayCheckLimits, RelayChecks } from './relay-checks.ts'

/** Allocates, permits and echoes through the relay's public address. */
export type RelayChecker = (
  target: CheckTarget & { cluster: PublishedCluster | undefined; report: LoadReport | undefined },
  signal: AbortSignal,
) => Promise<CheckOutcome>

export interface FleetOptions {
  checker: RelayChecker
  checkLimits?: Partial<RelayCheckLimits>
  /** Wall time. */
  nowMs?: () => number
  /** How often relays report; what relays of a cluster without directives are told. */
  reportIntervalSeconds?: number
}

const DEFAULT_REPORT_INTERVAL_SECONDS = 2
const CLUSTERS_MAX = 10_000
/** Clusters that are known from reports only: whoever may report cannot crowd out those that exist. */
const HEARSAY_CLUSTERS_MAX = 500
/** A cluster has at most 1000 relays and during a rollout as many again. */
const RELAYS_PER_CLUSTER_MAX = 2500
/** Counts of allocations move all the time: they wake the plan at most this often per cluster. */
const COUNT_CHANGE_INTERVAL_MS = 1000
/** A relay that has been silent so long makes room for others. */
const SILENT_RELAY_KEPT_MS = 600_000
/** A relay that the plan does not know, and that is silent for so long, is gone. */
const GONE_RELAY_KEPT_MS = 30_000
/** A report with an older start is a late one, unless the newer process has gone silent (its clock was set back). */
const RESTART_AFTER_SILENCE_MS = 10_000

interface ClusterMemory {
  loads: Map<string, RelayLoad>
  directives?: ReadonlyMap<string, Directives>
  published?: PublishedCluster
  revocations?: RevocationList
  countTimer?: NodeJS.Timeout
  countChangedAtMs: number
}

/** Makes the operator's memory of what relays report and of what they are to be told. */
export function createFleet(options: FleetOptions): Fleet {
  return new FleetRegistry(options)
}

class FleetRegistry implements Fleet {
  readonly #nowMs: () => number
  readonly #interval: number
  readonly #clusters = new Map<ClusterKey, ClusterMemory>()
  readonly #listeners: ((key: ClusterKey) => void)[] = []
  readonly #checks: RelayChecks
  readonly #events = new EventHub()

  constructor(options: FleetOptions) {
    this.#nowMs = options.nowMs ?? Date.now
    this.#interval = options.reportIntervalSeconds ?? DEFAULT_REPORT_INTERVAL_SECONDS
    this.#checks = new RelayChecks({
      checker: (target, signal) => {
        const memory = this.#clusters.get(target.key)
        const report = memory?.loads.get(target.uid)?.report
        return options.checker({ ...target, cluster: memory?.published, report }, signal)
      },
      nowMs: this.#nowMs,
      onEnd: (key) => this.#notify(key),
      ...(options.checkLimits ? { limits: options.checkLimits } : {}),
    })
  }

  report(received: LoadReport, nowMs: number): Directives {
    const { events, ...report } = received
    const directives = this.#directivesFor(report, nowMs)
    if (events) this.#events.take(report, events)
    return this.#events.wanted(report.cluster) ? { ...directives, events: true } : directives
  }

  readEvents(key: ClusterKey, reader: (event: FleetEvent) => void): () => void {
    return this.#events.read(key, reader)
  }

  #directivesFor(report: LoadReport, nowMs: number): Directives {
    const memory = this.#clusters.get(report.cluster) ?? this.#createFromHearsay(report.cluster)
    if (!memory) return this.#keepGoing(report)
    const before = memory.loads.get(report.uid)
    if (before ? !isLate(before, report, nowMs) : hasRoom(memory, nowMs)) {
      memory.loads.set(report.uid, { report, receivedAtMs: nowMs })
      if (!before || mattersAtOnce(before.report, report)) this.#notify(report.cluster)
      else if (countsDiffer(before.report, report)) this.#notifyOfCounts(report.cluster, memory, nowMs)
    }
    const directives = memory.directives
      ? (memory.directives.get(report.uid) ?? this.#carryOn())
      : this.#keepGoing(report)
    const { revocations } = memory
    const lags = revocations && (report.revocations ?? 0) < revocations.generation
    return lags ? { ...directives, revocations } : directives
  }

  loads(key: ClusterKey): ReadonlyMap<string, RelayLoad> {
    return this.#clusters.get(key)?.loads ?? new Map()
  }

  checks(key: ClusterKey): ReadonlyMap<string, RelayCheck> {
    return this.#checks.results(key)
  }

  startCheck(key: ClusterKey, uid: string, address: string): void {
    this.#checks.start({ key, uid, address })
  }

  revocations(key: ClusterKey): RevocationList | undefined {
    return this.#clusters.get(key)?.revocations
  }

  setRevocations(key: ClusterKey, list: RevocationList): void {
    const memory = this.#clusters.get(key) ?? this.#create(key)
    if (memory && list.generation >= (memory.revocations?.generation ?? 0)) memory.revocations = list
  }

  setDirectives(key: ClusterKey, byUid: ReadonlyMap<string, Directives>): void {
    const memory = this.#clusters.get(key) ?? this.#create(key)
    if (!memory) return
    memory.directives = new Map(byUid)
    const silentSinceMs = this.#nowMs() - GONE_RELAY_KEPT_MS
    for (const [uid, load] of memory.loads) {
      if (!byUid.has(uid) && load.receivedAtMs < silentSinceMs) memory.loads.delete(uid)
    }
    this.#checks.forget(key, (uid) => byUid.has(uid) || memory.loads.has(uid))
  }

  publish(cluster: PublishedCluster): void {
    const memory = this.#clusters.get(cluster.key) ?? this.#create(cluster.key)
    if (memory) memory.published = cluster
  }

  published(key: ClusterKey): PublishedCluster | undefined {
    return this.#clusters.get(key)?.published
  }

  publishedKeys(): ClusterKey[] {
    return [...this.#clusters].filter(([, memory]) => memory.published).map(([key]) => key)
  }

  forget(key: ClusterKey): void {
    clearTimeout(this.#clusters.get(key)?.countTimer)
    this.#clusters.delete(key)
    this.#checks.forget(key)
  }

  onChange(listener: (key: ClusterKey) => void): void {
    this.#listeners.push(listener)
  }

  #createFromHearsay(key: ClusterKey): ClusterMemory | undefined {
    const hearsay = [...this.#clusters].filter(([, memory]) => !memory.directives && !memory.published)
    const [oldest] = hearsay
    if (oldest && hearsay.length >= HEARSAY_CLUSTERS_MAX) this.forget(oldest[0])
    return this.#create(key)
  }

  #create(key: ClusterKey): ClusterMemory | undefined {
    if (this.#clusters.size >= CLUSTERS_MAX) return undefined
    const memory: ClusterMemory = { loads: new Map(), countChangedAtMs: Number.NEGATIVE_INFINITY }
    this.#clusters.set(key, memory)
    return memory
  }

  /** Before the first plan (an operator restart) a relay goes on as it is: a drain is neither begun nor undone. */
  #keepGoing(report: LoadReport): Directives {
    return { ...this.#carryOn(), drain: report.state === 'draining' || report.state === 'drained' }
  }

  #carryOn(): Directives {
    return { drain: false, alternates: [], intervalSeconds: this.#interval }
  }

  #notifyOfCounts(key: ClusterKey, memory: ClusterMemory, nowMs: number): void {
    if (memory.countTimer) return
    const waitMs = Math.max(0, memory.countChangedAtMs + COUNT_CHANGE_INTERVAL_MS - nowMs)
    memory.countTimer = setTimeout(() => {
      delete memory.countTimer
      memory.countChangedAtMs = this.#nowMs()
      this.#notify(key)
    }, waitMs)
    memory.countTimer.unref()
  }

  #notify(key: ClusterKey): void {
    for (const listener of this.#listeners) listener(key)
  }
}

function isLate(before: RelayLoad, report: LoadReport, nowMs: number): boolean {
  const { report: last, receivedAtMs } = before
  if (report.startedAtMs === last.startedAtMs) return report.sequence <= last.sequence
  return report.startedAtMs < last.startedAtMs && nowMs - receivedAtMs < RESTART_AFTER_SILENCE_MS
}

function hasRoom(memory: ClusterMemory, nowMs: number): boolean {
  if (memory.loads.size < RELAYS_PER_CLUSTER_MAX) return true
  for (const [uid, load] of memory.loads) {
    if (load.receivedAtMs < nowMs - SILENT_RELAY_KEPT_MS) memory.loads.delete(uid)
  }
  return memory.loads.size < RELAYS_PER_CLUSTER_MAX
}

function mattersAtOnce(before: LoadReport, after: LoadReport): boolean {
  if (before.startedAtMs !== after.startedAtMs || before.state !== after.state) return true
  if (before.drainAcknowledged !== after.drainAcknowledged) return true
  // The last allocation of a draining relay is what its deletion waits for.
  if (after.drainAcknowledged && after.allocations === 0 && before.allocations > 0) return true
  return slowlyChanging(before) !== slowlyChanging(after)
}

function slowlyChanging({
  capacity,
  addresses,
  listeners,
  keyIds,
  tls,
  problems,
  version,
}: LoadReport): string {
  return JSON.stringify([capacity, addresses, listeners, keyIds, tls, problems, version])
}

function countsDiffer(before: LoadReport, after: LoadReport): boolean {
  return before.allocations !== after.allocations
}
