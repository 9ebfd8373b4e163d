import { rmSync } from 'node:fs'
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
import { relayRevision } from '../specs/revision.ts'
import { ClusterSecrets } from './cluster-secrets.ts'
import { type ClusterFiles, localConfigHash, localRelayConfig } from './local-config.ts'
import { LocalRelay } from './local-relay.ts'
import { MachinePorts } from './machine-ports.ts'
import { freeLoopbackPort } from './port-plan.ts'
import { RestartBackoff } from './restart-backoff.ts'
import { RevocationFiles } from './revocation-files.ts'
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
  /** Another program in place of the relay's, for tests. */
  relayMain?: string
  /** A sentence for the person at the terminal. */
  say: (message: string) => void
}

interface LocalCluster {
  cluster: TurnCluster
  configHash?: string
  certificateHint?: string | undefined
}

/** The hands of the reconcile loop on this machine: relays are child processes, Secrets are files. */
export class LocalDriver implements Driver {
  readonly #options: LocalDriverOptions
  readonly #secrets: ClusterSecrets
  readonly #revocations: RevocationFiles
  readonly #clusters = new Map<ClusterKey, LocalCluster>()
  readonly #relays = new Map<string, LocalRelay>()
  readonly #backoff = new RestartBackoff()
  readonly #ports: MachinePorts

  constructor(options: LocalDriverOptions) {
    this.#options = options
    this.#secrets = new ClusterSecrets(options.state)
    this.#revocations = new RevocationFiles(options.state)
    this.#ports = new MachinePorts({
      inUse: () => [...this.#relays.values()].map(({ ports }) => ports),
      clusters: () => [...this.#clusters.values()].map(({ cluster }) => cluster),
      say: options.say,
    })
  }

  keys(): ClusterKey[] {
    return [...this.#clusters.keys()]
  }

  /** A cluster as its file has it now; answers with a sentence where it cannot become so. */
  setCluster(cluster: TurnCluster): string | undefined {
    const key = keyOf(cluster)
    const known = this.#clusters.get(key)
    if (known && known.cluster.spec.realm !== cluster.spec.realm) {
      return `the realm of ${key} cannot be changed while it runs, since credentials in use carry it: give it another name`
    }
    if (!known) this.#options.state.removeRelays(cluster.metadata.namespace, new Set(this.#relays.keys()))
    const status = known?.cluster.status ?? {}
    this.#clusters.set(key, { ...known, cluster: { ...cluster, status } })
    this.#options.onChange(key)
    return undefined
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
      if (relay.hasToken(token)) return { uid: relay.uid, namespace: relay.options.key.split('/')[0] ?? '' }
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
      revocations: this.#revocations.list(key),
      desiredConfigHash: localConfigHash(cluster, this.#files(cluster)),
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
    if (this.#of(key).some((relay) => relay.options.name === name)) return
    const { state, say, nowMs, relayMain } = this.#options
    const { namespace } = cluster.metadata
    const ports = await this.#ports.choose(cluster, name)
    const relay = new LocalRelay({
      key,
      name,
      ordinal,
      revision: parseRelayName(cluster.metadata.name, name)?.revision ?? '',
      directory: (uid) => state.relay(namespace, uid),
      logFile: state.relayLog(namespace, name),
      compileCache: state.compileCache,
      ...(relayMain === undefined ? {} : { relayMain }),
      ports,
      controlPort: await freeLoopbackPort(),
      createdAtMs: nowMs(),
      onChange: () => this.#changed(relay),
      onWarning: (message) => say(`relay ${name}: ${message}`),
    })
    this.#relays.set(relay.uid, relay)
    this.#configure(cluster, relay)
    const { delayMs, lastEnding } = this.#backoff.next(slot(relay))
    relay.start(delayMs, lastEnding)
  }

  /** A configuration that the relays take over live: new ports only for listeners that are new. */
  async #writeConfig(key: ClusterKey, cluster: TurnCluster): Promise<void> {
    const known = this.#clusters.get(key)
    if (!known) return
    for (const relay of this.#of(key)) {
      relay.options.ports = await this.#ports.follow(cluster, relay.ports)
      this.#configure(cluster, relay)
    }
    known.configHash = localConfigHash(cluster, this.#files(cluster))
  }

  #configure(cluster: TurnCluster, relay: LocalRelay): void {
    relay.writeConfig(localRelayConfig(cluster, relay, this.#files(cluster), this.#options.operatorUrl()))
  }

  #files(cluster: TurnCluster): ClusterFiles {
    const tls = this.#secrets.tlsPaths(cluster)
    return {
      keysFile: this.#secrets.keyRingPath(cluster),
      revocationsFile: this.#revocations.path(keyOf(cluster)),
      ...(tls ? { tls } : {}),
    }
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
      this.#forget(relay)
      if (relay.terminating) this.#backoff.ended(slot(relay))
      else {
        this.#backoff.crashed(slot(relay), relay.livedMs, relay.ending)
        this.#options.say(`relay ${relay.options.name} ${relay.ending}`)
      }
    }
    this.#options.onChange(relay.options.key)
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
