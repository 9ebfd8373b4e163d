import type { Directives } from '../../../relay/api/load-report.ts'
import { durationSeconds } from '../../api/durations.ts'
import type { TurnCluster, TurnClusterStatus } from '../../api/turn-cluster.ts'
import { parseRelayName } from '../../specs/names.ts'
import type {
  Action,
  Driver,
  Fleet,
  ObservedCluster,
  ObservedNode,
  ObservedRelay,
  PublishedCluster,
  RelayCheck,
  RelayLoad,
} from '../contract.ts'
import type { ClusterMemory } from '../memory.ts'
import { type Reconciler, reconcile } from '../reconcile.ts'
import { KEY_RING, node, report, turnCluster } from './fixtures.ts'

const KEY = 'turn/public'
const SCHEDULE_SECONDS = 1
const BOOT_SECONDS = 3
const CHECK_SECONDS = 1

/** A relay as it really is, which the operator only hears of. */
export interface RealRelay {
  observed: ObservedRelay
  allocations: number
  scheduledAtMs: number | undefined
  directive: Directives | undefined
  acknowledged: boolean
  silent: boolean
}

/** A whole cluster in one object, with a clock of its own: nodes, pods, relays, clients and the operator's state. */
export class SimulatedFleet implements Driver, Fleet {
  nowMs = Date.UTC(2026, 0, 1)
  cluster: TurnCluster
  revision = '0000aaaa'
  nodes: ObservedNode[]
  relays = new Map<string, RealRelay>()
  actions: { atMs: number; action: Action }[] = []
  statusWrites: number[] = []
  violations: string[] = []
  /** Relays of these revisions never start. */
  brokenRevisions = new Set<string>()
  private readonly reportsOf = new Map<string, RelayLoad>()
  private readonly checksOf = new Map<string, RelayCheck>()
  private publishedOf: PublishedCluster | undefined
  private keyRingMade = false
  private configWritten = false
  private uids = 0
  private reconciler: Reconciler

  constructor(spec: Parameters<typeof turnCluster>[0], nodeCount: number) {
    this.cluster = turnCluster(spec)
    this.nodes = Array.from({ length: nodeCount }, (_, index) =>
      node(`node${index}`, { zone: `zone${index % 3}` }),
    )
    this.reconciler = this.newReconciler()
  }

  /** Lets time pass in steps of a second, with a run of the loop after each. */
  async run(seconds: number, each: () => void = () => {}): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000
      this.live()
      each()
      await reconcile(this.reconciler, KEY)
    }
  }

  /** The operator's process is replaced: what it only remembered is gone. */
  restartOperator(): void {
    this.reportsOf.clear()
    this.checksOf.clear()
    this.publishedOf = undefined
    this.reconciler = this.newReconciler()
  }

  /** A client arrives: it gets a relay from the credentials endpoint, and stays on it. */
  arrive(pick: number): boolean {
    const relays = this.publishedOf?.relays ?? []
    const target = relays[pick % Math.max(1, relays.length)]
    const real = target && this.relays.get(target.uid)
    if (!real || real.acknowledged || real.observed.phase !== 'Running') return false
    real.allocations++
    return true
  }

  depart(pick: number): void {
    const busy = [...this.relays.values()].filter(({ allocations }) => allocations > 0)
    const real = busy[pick % Math.max(1, busy.length)]
    if (real) real.allocations--
  }

  async observe(): Promise<ObservedCluster> {
    return {
      key: KEY,
      cluster: structuredClone(this.cluster),
      revision: this.revision,
      relays: [...this.relays.values()].map(({ observed }) => structuredClone(observed)),
      nodes: structuredClone(this.nodes),
      foreign: [],
      keyRing: this.keyRingMade ? { state: 'valid', value: KEY_RING, contentHash: 'h' } : { state: 'absent' },
      loads: new Map(this.reportsOf),
      checks: new Map(this.checksOf),
      desiredConfigHash: 'c1',
      ...(this.configWritten && { configHash: 'c1' }),
    }
  }

  async apply(_observed: ObservedCluster, action: Action): Promise<void> {
    this.actions.push({ atMs: this.nowMs, action })
    if (action.kind === 'create-key-ring') this.keyRingMade = true
    else if (action.kind === 'write-config') this.configWritten = true
    else if (action.kind === 'create-relay') this.createRelay(action.name)
    else this.change(action)
  }

  async writeStatus(_observed: ObservedCluster, status: TurnClusterStatus): Promise<void> {
    this.cluster = { ...this.cluster, status: structuredClone(status) }
    this.statusWrites.push(this.nowMs)
  }

  report(): Directives {
    return { drain: false, alternates: [], intervalSeconds: 1 }
  }

  loads(): ReadonlyMap<string, RelayLoad> {
    return this.reportsOf
  }

  checks(): ReadonlyMap<string, RelayCheck> {
    return this.checksOf
  }

  startCheck(_key: string, uid: string, address: string): void {
    this.checksOf.set(uid, { state: 'running', atMs: this.nowMs, address, message: '' })
  }

  setDirectives(_key: string, byUid: ReadonlyMap<string, Directives>): void {
    for (const [uid, real] of this.relays) real.directive = byUid.get(uid)
  }

  publish(cluster: PublishedCluster): void {
    this.publishedOf = cluster
  }

  readEvents(): () => void {
    return () => undefined
  }

  revocations(): undefined {
    return undefined
  }

  setRevocations(): void {}

  published(): PublishedCluster | undefined {
    return this.publishedOf
  }

  publishedKeys(): string[] {
    return [KEY]
  }

  forget(): void {}

  onChange(): void {}

  private newReconciler(): Reconciler {
    const memories = new Map<string, ClusterMemory>()
    return { driver: this, fleet: this, now: () => this.nowMs, startedAtMs: this.nowMs, memories }
  }

  private createRelay(name: string): void {
    const parsed = parseRelayName('public', name)
    if (!parsed || [...this.relays.values()].some(({ observed }) => observed.name === name)) {
      this.violations.push(`creates ${name}, which exists`)
      return
    }
    const uid = `uid-${this.uids++}`
    this.relays.set(uid, {
      observed: {
        name,
        uid,
        ...parsed,
        createdAtMs: this.nowMs,
        phase: 'Pending',
        ready: false,
        terminating: false,
        addresses: [],
      },
      allocations: 0,
      scheduledAtMs: undefined,
      directive: undefined,
      acknowledged: false,
      silent: false,
    })
  }

  private change(
    action: Exclude<Action, { kind: 'create-key-ring' | 'write-config' | 'create-relay' }>,
  ): void {
    const real = this.relays.get(action.uid)
    if (!real) return
    if (action.kind === 'publish-addresses') real.observed.addresses = action.addresses
    else if (action.kind === 'check-relay') this.startCheck(KEY, action.uid, action.address)
    else if (action.kind === 'undrain') delete real.observed.drain
    else if (action.kind === 'drain') this.drain(real, action.reason)
    else this.deleteRelay(real, action.forced)
  }

  private drain(real: RealRelay, reason: string): void {
    if (this.publishedOf?.relays.some(({ uid }) => uid === real.observed.uid)) {
      this.violations.push(`drains ${real.observed.name} while it is published`)
    }
    if (reason === 'ScaleDown') this.judgeRoom(real)
    real.observed.drain = { sinceMs: this.nowMs, reason }
  }

  /** What the autoscaler takes away leaves room for the buffer on what stays. */
  private judgeRoom(victim: RealRelay): void {
    const { autoscaling, limits } = this.cluster.spec
    if (!autoscaling.enabled || this.cluster.status.autoscaling?.binding === 'MaxReplicas') return
    const stays = (this.publishedOf?.relays ?? []).map(({ uid }) => this.relays.get(uid)?.allocations ?? 0)
    const room = stays.reduce((sum, live) => sum + limits.allocationsPerRelay - live, 0)
    if (room < autoscaling.buffer.allocations) {
      this.violations.push(`drains ${victim.observed.name} and leaves room for ${room}`)
    }
  }

  private deleteRelay(real: RealRelay, forced: boolean): void {
    const { observed, allocations } = real
    const longestMs = durationSeconds(this.cluster.spec.drain.maxDuration) * 1000
    const over = observed.drain !== undefined && this.nowMs - observed.drain.sinceMs >= longestMs
    const runs = observed.phase === 'Running' && this.nodes.some(({ name }) => name === observed.node)
    if (runs && allocations > 0 && !over)
      this.violations.push(`deletes ${observed.name} with ${allocations} allocations`)
    if (forced !== over && forced) this.violations.push(`forces ${observed.name} before its deadline`)
    this.relays.delete(observed.uid)
    this.reportsOf.delete(observed.uid)
    this.checksOf.delete(observed.uid)
  }

  /** One second of everything that is not the operator. */
  private live(): void {
    for (const real of this.relays.values()) {
      this.schedule(real)
      this.boot(real)
      this.reportLoad(real)
    }
    for (const [uid, found] of this.checksOf) {
      if (found.state !== 'running' || this.nowMs - found.atMs < CHECK_SECONDS * 1000) continue
      const real = this.relays.get(uid)
      const works = real?.observed.ready === true && !real.silent
      this.checksOf.set(uid, { ...found, state: works ? 'passed' : 'failed', atMs: this.nowMs })
    }
  }

  private schedule(real: RealRelay): void {
    const { observed } = real
    if (observed.node !== undefined || this.nowMs - observed.createdAtMs < SCHEDULE_SECONDS * 1000) return
    const taken = new Set([...this.relays.values()].map((other) => other.observed.node))
    const free = this.nodes.find(
      ({ name, leaving, ready }) => ready && leaving === undefined && !taken.has(name),
    )
    if (free) {
      observed.node = free.name
      real.scheduledAtMs = this.nowMs
      delete observed.trouble
    } else {
      observed.trouble = { reason: 'Unschedulable', message: 'no node is free' }
    }
  }

  private boot(real: RealRelay): void {
    const { observed, scheduledAtMs } = real
    if (observed.phase !== 'Pending' || scheduledAtMs === undefined) return
    if (this.nowMs - scheduledAtMs < BOOT_SECONDS * 1000) return
    if (this.brokenRevisions.has(observed.revision)) {
      observed.trouble = { reason: 'ImagePullBackOff', message: 'cannot pull the image' }
      return
    }
    observed.phase = 'Running'
    observed.ready = true
  }

  private reportLoad(real: RealRelay): void {
    const { observed, directive } = real
    if (observed.phase !== 'Running' || real.silent) return
    // The answer to the report before this one has been taken over by now.
    const told = directive?.drain === true
    real.acknowledged = told
    const state = !told ? 'serving' : real.allocations > 0 ? 'draining' : 'drained'
    const { allocations } = real
    this.reportsOf.set(observed.uid, {
      report: report(observed, { allocations, state, drainAcknowledged: told }),
      receivedAtMs: this.nowMs,
    })
  }
}
