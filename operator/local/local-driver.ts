import { rmSync } from 'node:fs'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { canonicalJson, contentHash } from '../api/hash.ts'
import { effectiveListeners } from '../api/listeners.ts'
import type { TurnCluster, TurnClusterStatus } from '../api/turn-cluster.ts'
import type {
  Action,
  ClusterKey,
  Driver,
  Fleet,
  ObservedCluster,
  ObservedNode,
  RelayLoad,
} from '../controller/contract.ts'
import { parseRelayName } from '../specs/names.ts'
import { relayConfigFor } from '../specs/relay-config.ts'
import { relayRevision } from '../specs/revision.ts'
import { ClusterSecrets } from './cluster-secrets.ts'
import { LocalRelay } from './local-relay.ts'
import {
  chooseListenerPorts,
  chooseRelayPorts,
  freeLoopbackPort,
  probePort,
  type RelayPorts,
  slicesFor,
} from './port-plan.ts'
import type { StateDirectory } from './state-directory.ts'

export interface LocalDriverOptions {
  state: StateDirectory
  fleet: Fleet
  /** Where relays report to. */
  operatorUrl: () => string
  /** This machine as it is now. */
  node: () => ObservedNode
  /** What a change of makes running relays be replaced. */
  version: string
  nowMs: () => number
  onChange: (key: ClusterKey) => void
  /** A sentence for the person at the terminal. */
  say: (message: string) => void
}

/** A process that lived shorter than this ended too soon, and its successor waits. */
const SOON_MS = 10_000
const RESTART_DELAY_FIRST_MS = 1000
const RESTART_DELAY_MAX_MS = 60_000
const REPORT_INTERVAL_SECONDS = 1

interface LocalCluster {
  cluster: TurnCluster
  configHash?: string
  certificateHint?: string | undefined
}

/** The hands of the reconcile loop on this machine: relays are child processes, Secrets are files. */
export class LocalDriver implements Driver {
  readonly #options: LocalDriverOptions
  readonly #secrets: ClusterSecrets
  readonly #clusters = new Map<ClusterKey, LocalCluster>()
  readonly #relays = new Map<string, LocalRelay>()
  /** By cluster and ordinal: how many processes in a row ended too soon. */
  readonly #failures = new Map<string, { count: number; ending: string }>()

  constructor(options: LocalDriverOptions) {
    this.#options = options
    this.#secrets = new ClusterSecrets(options.state)
  }

  keys(): ClusterKey[] {
    return [...this.#clusters.keys()]
  }

  /** A cluster as its file has it now; what was observed of it stays. */
  setCluster(cluster: TurnCluster): void {
    const key = keyOf(cluster)
    const known = this.#clusters.get(key)
    if (!known) this.#options.state.removeRelays(cluster.metadata.namespace, this.#uids())
    const status = known?.cluster.status ?? {}
    this.#clusters.set(key, { ...known, cluster: { ...cluster, status } })
    this.#options.onChange(key)
  }

  /** Its file is gone: its relays drain and end. */
  removeCluster(key: ClusterKey): void {
    this.#clusters.delete(key)
    for (const relay of this.#of(key)) relay.terminate('drained')
    this.#options.onChange(key)
  }

  statusOf(key: ClusterKey): TurnClusterStatus | undefined {
    return this.#clusters.get(key)?.cluster.status
  }

  certificateHint(key: ClusterKey): string | undefined {
    return this.#clusters.get(key)?.certificateHint
  }

  /** The relay that a report's token was made for. */
  async reviewReportToken(token: string): Promise<{ uid: string; namespace: string } | undefined> {
    for (const relay of this.#relays.values()) {
      if (relay.token === token) return { uid: relay.uid, namespace: relay.options.key.split('/')[0] ?? '' }
    }
    return undefined
  }

  async observe(key: ClusterKey): Promise<ObservedCluster | undefined> {
    const known = this.#clusters.get(key)
    if (!known) return undefined
    const { cluster } = known
    const { fleet, nowMs } = this.#options
    const node = this.#options.node()
    const loads = fleet.loads(key)
    const addresses = [...node.annotatedAddresses, ...node.externalAddresses]
    const tls = await this.#secrets.certificate(cluster, addresses, nowMs())
    known.certificateHint = await this.#secrets.certificateHint(cluster)
    return {
      key,
      cluster,
      revision: this.#revision(cluster),
      relays: this.#of(key).map((relay) => ({
        ...relay.observe(isServing(loads.get(relay.uid))),
        node: node.name,
      })),
      nodes: [node],
      foreign: [],
      keyRing: await this.#secrets.keyRing(cluster),
      ...(tls ? { tls } : {}),
      loads,
      checks: fleet.checks(key),
      ...(known.configHash === undefined ? {} : { configHash: known.configHash }),
      desiredConfigHash: this.#configHash(cluster),
    }
  }

  async apply(observed: ObservedCluster, action: Action): Promise<void> {
    const { cluster, key } = observed
    switch (action.kind) {
      case 'create-key-ring':
        this.#secrets.createKeyRing(cluster)
        break
      case 'write-config':
        await this.#writeConfig(key, cluster)
        break
      case 'create-relay':
        await this.#create(key, cluster, action)
        break
      case 'publish-addresses':
        this.#relay(action.uid)?.publish(action.addresses)
        break
      case 'check-relay':
        this.#options.fleet.startCheck(key, action.uid, action.address)
        return
      case 'drain':
        this.#setDrain(action.uid, { sinceMs: this.#options.nowMs(), reason: action.reason })
        break
      case 'undrain':
        this.#setDrain(action.uid, undefined)
        break
      case 'delete-relay':
        this.#delete(action.uid, action.forced)
        break
    }
    this.#options.onChange(key)
  }

  async writeStatus(observed: ObservedCluster, status: TurnClusterStatus): Promise<void> {
    const known = this.#clusters.get(observed.key)
    if (known) known.cluster = { ...known.cluster, status }
  }

  /** Lets every relay drain and end; resolves when all have. */
  async drainAll(): Promise<void> {
    await this.#endAll((relay) => relay.terminate('drained'))
  }

  /** Ends every relay now. */
  async endAll(): Promise<void> {
    await this.#endAll((relay) => relay.kill())
  }

  async #endAll(end: (relay: LocalRelay) => void): Promise<void> {
    const relays = [...this.#relays.values()]
    for (const relay of relays) end(relay)
    await Promise.all(relays.map((relay) => relay.exited()))
  }

  async #create(
    key: ClusterKey,
    cluster: TurnCluster,
    { name, ordinal }: { name: string; ordinal: number },
  ): Promise<void> {
    const relays = this.#of(key)
    if (relays.some((relay) => relay.options.name === name)) return
    const ports = await this.#choosePorts(cluster)
    const relay = new LocalRelay({
      key,
      name,
      ordinal,
      revision: parseRelayName(cluster.metadata.name, name)?.revision ?? '',
      directory: (uid) => this.#options.state.relay(cluster.metadata.namespace, uid),
      logFile: this.#options.state.relayLog(cluster.metadata.namespace, name),
      ports,
      controlPort: await freeLoopbackPort(),
      createdAtMs: this.#options.nowMs(),
      onChange: () => this.#changed(relay),
      onWarning: (message) => this.#options.say(`relay ${name}: ${message}`),
    })
    this.#relays.set(relay.uid, relay)
    await this.#tellShiftedPorts(relay, relays)
    relay.writeConfig(this.#relayConfig(cluster, relay))
    const failures = this.#failures.get(slot(relay))
    relay.start(restartDelayMs(failures?.count ?? 0), failures?.ending ?? '')
  }

  /** Ports that differ because of somebody else than our own relays. */
  async #tellShiftedPorts(
    { options: { name, ports } }: LocalRelay,
    others: readonly LocalRelay[],
  ): Promise<void> {
    const ours = new Set(others.flatMap((relay) => [...relay.ports.listeners.values()]))
    for (const [wanted, chosen] of ports.listeners) {
      if (wanted === chosen || ours.has(wanted)) continue
      const why =
        (await probePort(wanted)) === 'forbidden'
          ? `this user may not open port ${wanted} (sysctl net.ipv4.ip_unprivileged_port_start=${wanted} lets it)`
          : `another program has port ${wanted}`
      this.#options.say(`${why}: ${name} listens on ${chosen} instead`)
    }
  }

  async #choosePorts(cluster: TurnCluster): Promise<RelayPorts> {
    const live = [...this.#relays.values()]
    const taken = new Set(live.flatMap(({ ports }) => [...ports.listeners.values()]))
    const wanted = effectiveListeners(cluster.spec).map(({ port }) => port)
    const { network } = cluster.spec
    const relayPorts = chooseRelayPorts(
      network.relayPorts,
      slicesFor(this.#relaysWanted()),
      live.map(({ ports }) => ports.relay),
    )
    if (!relayPorts) {
      const { min, max } = network.relayPorts
      throw new Error(
        `no part of the relay ports ${min}-${max} is left for one more relay: widen network.relayPorts`,
      )
    }
    return { listeners: await chooseListenerPorts(wanted, taken), relay: relayPorts }
  }

  /** A configuration that the relays take over live: new ports only for listeners that are new. */
  async #writeConfig(key: ClusterKey, cluster: TurnCluster): Promise<void> {
    const known = this.#clusters.get(key)
    if (!known) return
    for (const relay of this.#of(key)) {
      await this.#addListenerPorts(cluster, relay)
      relay.writeConfig(this.#relayConfig(cluster, relay))
    }
    known.configHash = this.#configHash(cluster)
  }

  async #addListenerPorts(cluster: TurnCluster, relay: LocalRelay): Promise<void> {
    const known = relay.ports.listeners
    const added = effectiveListeners(cluster.spec)
      .map(({ port }) => port)
      .filter((port) => !known.has(port))
    if (added.length === 0) return
    const taken = new Set([...this.#relays.values()].flatMap(({ ports }) => [...ports.listeners.values()]))
    const chosen = await chooseListenerPorts(added, taken)
    relay.options.ports = { ...relay.ports, listeners: new Map([...known, ...chosen]) }
  }

  #relayConfig(cluster: TurnCluster, relay: LocalRelay): RelayConfigInput {
    const { operatorUrl } = this.#options
    const tls = this.#secrets.tlsPaths(cluster)
    const { listeners, relay: relayPorts } = relay.ports
    const config = relayConfigFor(cluster, {
      addressesFile: relay.file('addresses.yaml'),
      keysFile: this.#secrets.keyRingPath(cluster),
      ...(tls ? { tls } : {}),
      operator: {
        url: operatorUrl(),
        tokenFile: relay.file('token'),
        intervalSeconds: REPORT_INTERVAL_SECONDS,
      },
      control: { address: '127.0.0.1', port: relay.options.controlPort },
      listeners: effectiveListeners(cluster.spec).map(({ protocol, port }) => ({
        protocol,
        port: listeners.get(port) ?? port,
      })),
      relayPorts,
      identity: { uid: relay.uid, name: relay.options.name, cluster: relay.options.key },
    })
    const allocations = Math.min(cluster.spec.limits.allocationsPerRelay, relayPorts.max - relayPorts.min + 1)
    return { ...config, limits: { ...config.limits, allocations } }
  }

  #configHash(cluster: TurnCluster): string {
    const tls = this.#secrets.tlsPaths(cluster)
    const keysFile = this.#secrets.keyRingPath(cluster)
    return contentHash(canonicalJson(relayConfigFor(cluster, { keysFile, ...(tls ? { tls } : {}) })))
  }

  #revision(cluster: TurnCluster): string {
    return relayRevision(cluster, { image: this.#options.version, operatorUrl: '' })
  }

  #setDrain(uid: string, drain: { sinceMs: number; reason: string } | undefined): void {
    const relay = this.#relay(uid)
    if (relay) relay.drain = drain
  }

  #delete(uid: string, forced: boolean): void {
    const relay = this.#relay(uid)
    relay?.terminate(forced || relay.drain ? 'briefly' : 'drained')
  }

  /** A process that ended leaves its place at once; how soon the next one starts is decided there. */
  #changed(relay: LocalRelay): void {
    if (relay.ended) {
      this.#countFailure(relay)
      this.#forget(relay)
      if (!relay.terminating) this.#options.say(`relay ${relay.options.name} ${relay.ending}`)
    }
    this.#options.onChange(relay.options.key)
  }

  #countFailure(relay: LocalRelay): void {
    const livedMs = performance.now() - (relay.startedAtMs ?? performance.now())
    const failures = this.#failures.get(slot(relay))
    if (relay.terminating || livedMs >= SOON_MS) this.#failures.delete(slot(relay))
    else this.#failures.set(slot(relay), { count: (failures?.count ?? 0) + 1, ending: relay.ending })
  }

  #forget(relay: LocalRelay): void {
    this.#relays.delete(relay.uid)
    rmSync(relay.directory, { recursive: true, force: true })
  }

  #relay(uid: string): LocalRelay | undefined {
    return this.#relays.get(uid)
  }

  #of(key: ClusterKey): LocalRelay[] {
    return [...this.#relays.values()].filter((relay) => relay.options.key === key)
  }

  #uids(): Set<string> {
    return new Set(this.#relays.keys())
  }

  #relaysWanted(): number {
    return [...this.#clusters.values()].reduce((sum, { cluster: { spec } }) => {
      const { enabled, maxReplicas } = spec.autoscaling
      return sum + (enabled ? maxReplicas : spec.replicas)
    }, 0)
  }
}

function keyOf({ metadata }: TurnCluster): ClusterKey {
  return `${metadata.namespace}/${metadata.name}`
}

function slot(relay: LocalRelay): string {
  return `${relay.options.key}/${relay.options.ordinal}`
}

function isServing(load: RelayLoad | undefined): boolean {
  return load?.report.state === 'serving'
}

/** The first that ends soon is replaced at once, the next ones later and later. */
function restartDelayMs(failures: number): number {
  if (failures <= 1) return 0
  return Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_FIRST_MS * 2 ** (failures - 2))
}
