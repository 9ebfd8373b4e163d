import { NO_REVOCATIONS, type RevocationList } from '../../relay/api/revocations.ts'
import { canonicalJson, contentHash } from '../api/hash.ts'
import { ANNOTATION_ADDRESSES, ANNOTATION_CONFIG, ANNOTATION_DRAIN, FIELD_MANAGER } from '../api/labels.ts'
import { GROUP, KIND, type TurnCluster, type TurnClusterStatus, VERSION } from '../api/turn-cluster.ts'
import type {
  Action,
  ClusterKey,
  Driver,
  Fleet,
  Judged,
  KeyRing,
  ObservedCluster,
  TlsCertificate,
} from '../controller/contract.ts'
import type { Clock } from '../queue/clock.ts'
import { type OperatorEndpoint, relayConfigMap } from '../specs/config-map.ts'
import { keyRingSecret } from '../specs/key-ring-secret.ts'
import { configMapName, keyRingSecretName, revocationsName } from '../specs/names.ts'
import { type RelayPodInputs, relayPod } from '../specs/pod.ts'
import { revocationsIn } from '../specs/revocations.ts'
import { applyOwned, createOwned, deleteExactly, ForeignObjectError } from './apply.ts'
import { isStatus, type KubeClient } from './client.ts'
import { writeClusterStatus } from './cluster-status.ts'
import { DerivedClusters } from './derived-clusters.ts'
import type { EventRecorder } from './events.ts'
import { ForeignObjects } from './foreign-objects.ts'
import { judgeKeyRing, judgeReadError, judgeTls } from './judge.ts'
import {
  type ConfigMapObject,
  isOwnedBy,
  type KubeObject,
  objectPath,
  type PodObject,
  type SecretObject,
  splitKey,
} from './objects.ts'
import { observedRelay } from './observe.ts'
import type { World } from './world.ts'

/** A relay that is deleted with live allocations has said goodbye long before. */
const FORCED_GRACE_SECONDS = 30

export interface KubeDriverOptions {
  client: KubeClient
  world: World
  fleet: Fleet
  events: EventRecorder
  podInputs: () => RelayPodInputs
  endpoint: () => OperatorEndpoint
  makeKeyRing: () => KeyRing
  clock: Clock
  wallMs: () => number
}

/** Drives Kubernetes: observes from what the reflectors mirror, and writes only what differs. */
export class KubeDriver implements Driver {
  readonly #options: KubeDriverOptions
  readonly #foreign: ForeignObjects
  readonly #derived: DerivedClusters
  readonly #dataHashes = new WeakMap<ConfigMapObject, string>()

  constructor(options: KubeDriverOptions) {
    this.#options = options
    this.#foreign = new ForeignObjects(options.clock)
    this.#derived = new DerivedClusters(options)
  }

  async observe(key: ClusterKey): Promise<ObservedCluster | undefined> {
    const { world, fleet } = this.#options
    const { namespace } = splitKey(key)
    if (!world.hasSynced(namespace))
      throw new Error(`namespace ${namespace} is not known yet: ${world.problems().join('; ')}`)
    const object = world.clusters.get(key)
    if (!object) {
      this.#foreign.forget(key)
      world.secrets.keepOnly(key, namespace, [])
      return undefined
    }
    const { cluster, revision, networks, desiredConfigHash } = await this.#derived.of(object)
    const { name, uid } = cluster.metadata
    const pods = world.podsOf(key, namespace)
    const own = pods.filter((pod) => isOwnedBy(pod, uid))
    const relays = own.flatMap((pod) => observedRelay(name, pod) ?? [])
    const configMap = world.configMaps.get(`${namespace}/${configMapName(name)}`)
    const configHash = configMap && isOwnedBy(configMap, uid) ? this.#dataHash(configMap) : undefined
    const tls = await this.#readTls(key, cluster)
    return {
      key,
      cluster,
      revision,
      relays,
      nodes: await world.nodes.nodes(relays.flatMap(({ node }) => node ?? [])),
      foreign: await this.#foreignNames(key, cluster, pods),
      keyRing: await this.#readSecret(key, namespace, keyRingSecretName(cluster), judgeKeyRing),
      ...(tls ? { tls } : {}),
      loads: fleet.loads(key),
      checks: fleet.checks(key),
      ...(configHash === undefined ? {} : { configHash }),
      networks,
      revocations: this.#revocations(cluster),
      desiredConfigHash,
    }
  }

  async apply(observed: ObservedCluster, action: Action): Promise<void> {
    try {
      await this.#perform(observed, action)
    } catch (error) {
      this.#record(
        observed,
        { ...action, message: `${action.message}: ${(error as Error).message}` },
        'Warning',
        'Failed',
      )
      throw error
    }
    if (action.kind === 'check-relay') return
    const forced = action.kind === 'delete-relay' && action.forced
    this.#record(observed, action, forced ? 'Warning' : 'Normal', action.reason)
  }

  async writeStatus({ cluster }: ObservedCluster, status: TurnClusterStatus): Promise<void> {
    if (canonicalJson(status) === canonicalJson(cluster.status)) return
    await writeClusterStatus(this.#options, cluster, status)
  }

  async #perform(observed: ObservedCluster, action: Action): Promise<void> {
    const { client, world, fleet, podInputs, endpoint, makeKeyRing } = this.#options
    const { cluster, key, revision } = observed
    const { namespace, uid } = cluster.metadata
    switch (action.kind) {
      case 'create-key-ring': {
        // A Secret that somebody has deleted comes back as it was: credentials in use are made with it.
        const ring = fleet.published(key)?.keyRing ?? makeKeyRing()
        const { object } = await createOwned(client, keyRingSecret(cluster, ring), uid)
        return world.secrets.learn(object as SecretObject)
      }
      case 'write-config': {
        const configMap = relayConfigMap(cluster, endpoint(), observed.networks)
        world.configMaps.learn((await this.#guarded(key, configMap, applyOwned)) as ConfigMapObject)
        return this.#announceConfig(observed)
      }
      case 'create-relay': {
        const pod = relayPod(cluster, action.ordinal, revision, { ...podInputs(), succeeds: action.succeeds })
        const create = async (...args: Parameters<typeof createOwned>) => (await createOwned(...args)).object
        return world.pods.learn((await this.#guarded(key, pod, create)) as PodObject)
      }
      case 'publish-addresses':
        return this.#annotate(namespace, action, { [ANNOTATION_ADDRESSES]: JSON.stringify(action.addresses) })
      case 'check-relay':
        return fleet.startCheck(key, action.uid, action.address)
      case 'drain': {
        const mark = { sinceMs: this.#options.wallMs(), reason: action.reason }
        return this.#annotate(namespace, action, { [ANNOTATION_DRAIN]: JSON.stringify(mark) })
      }
      case 'undrain':
        return this.#annotate(namespace, action, { [ANNOTATION_DRAIN]: null })
      case 'delete-relay': {
        const grace = action.forced ? FORCED_GRACE_SECONDS : undefined
        await deleteExactly(client, podNamed(namespace, action.relay), action.uid, grace)
      }
    }
  }

  /** Writes an object of a cluster, and remembers when its name is somebody else's. */
  async #guarded<T extends KubeObject>(
    key: ClusterKey,
    object: T,
    write: (client: KubeClient, object: T, ownerUid: string) => Promise<KubeObject>,
  ): Promise<KubeObject> {
    const ownerUid = object.metadata.ownerReferences?.[0]?.uid ?? ''
    if (this.#foreign.has(key, object.metadata.name)) throw new ForeignObjectError(object)
    try {
      return await write(this.#options.client, object, ownerUid)
    } catch (error) {
      if (error instanceof ForeignObjectError)
        this.#foreign.add(key, object.metadata.name, objectPath(object))
      throw error
    }
  }

  /** A kubelet looks at a pod that changes at once, and at its mounted ConfigMap else only within a minute. */
  async #announceConfig({ cluster, relays, desiredConfigHash }: ObservedCluster): Promise<void> {
    const { namespace } = cluster.metadata
    const running = relays.filter(({ phase, terminating }) => phase === 'Running' && !terminating)
    for (const { name, uid } of running) {
      try {
        await this.#annotate(namespace, { relay: name, uid }, { [ANNOTATION_CONFIG]: desiredConfigHash })
      } catch (error) {
        // It went meanwhile, or another took its name.
        if (!isStatus(error, 404) && !isStatus(error, 409)) throw error
      }
    }
  }

  /** A merge patch that the API server refuses where the pod of that name is another one by now. */
  async #annotate(
    namespace: string,
    { relay, uid }: { relay: string; uid: string },
    annotations: Record<string, string | null>,
  ): Promise<void> {
    const { client, world } = this.#options
    const pod = await client.request<PodObject>({
      method: 'PATCH',
      path: objectPath(podNamed(namespace, relay)),
      query: { fieldManager: FIELD_MANAGER },
      body: { metadata: { uid, annotations } },
      contentType: 'application/merge-patch+json',
    })
    world.pods.learn(pod)
  }

  async #foreignNames(key: ClusterKey, cluster: TurnCluster, pods: readonly PodObject[]): Promise<string[]> {
    const { client } = this.#options
    const exists = async (path: string): Promise<boolean> => {
      const object = await client.find<KubeObject>(path)
      return object !== undefined && !isOwnedBy(object, cluster.metadata.uid)
    }
    const labelled = pods
      .filter((pod) => !isOwnedBy(pod, cluster.metadata.uid) && observedRelay(cluster.metadata.name, pod))
      .map(({ metadata }) => metadata.name)
    return [...new Set([...labelled, ...(await this.#foreign.names(key, exists))])]
  }

  async #readTls(
    key: ClusterKey,
    { metadata, spec }: TurnCluster,
  ): Promise<Judged<TlsCertificate> | undefined> {
    const names = [keyRingSecretName({ metadata, spec }), ...(spec.tls ? [spec.tls.secretName] : [])]
    this.#options.world.secrets.keepOnly(key, metadata.namespace, names)
    return spec.tls ? this.#readSecret(key, metadata.namespace, spec.tls.secretName, judgeTls) : undefined
  }

  async #readSecret<T>(
    key: ClusterKey,
    namespace: string,
    name: string,
    judge: (secret: SecretObject | undefined) => Judged<T>,
  ): Promise<Judged<T>> {
    try {
      return judge(await this.#options.world.secrets.read(key, namespace, name))
    } catch (error) {
      return judgeReadError(error)
    }
  }

  /** Undefined: somebody made the ConfigMap malformed. */
  #revocations({ metadata: { name, namespace, uid } }: TurnCluster): RevocationList | undefined {
    const stored = this.#options.world.configMaps.get(`${namespace}/${revocationsName(name)}`)
    return stored && isOwnedBy(stored, uid) ? revocationsIn(stored.data) : NO_REVOCATIONS
  }

  #dataHash(configMap: ConfigMapObject): string {
    const hash = this.#dataHashes.get(configMap) ?? contentHash(canonicalJson(configMap.data ?? {}))
    this.#dataHashes.set(configMap, hash)
    return hash
  }

  #record({ cluster }: ObservedCluster, action: Action, type: 'Normal' | 'Warning', reason: string): void {
    const { name, namespace, uid } = cluster.metadata
    const about = { apiVersion: `${GROUP}/${VERSION}`, kind: KIND, metadata: { name, namespace, uid } }
    this.#options.events.record(about, { type, reason, note: action.message, action: camelCase(action.kind) })
  }
}

function podNamed(namespace: string, name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace } }
}

function camelCase(kind: string): string {
  return kind.replace(/(^|-)([a-z])/g, (_match, _dash, letter: string) => letter.toUpperCase())
}
