import { COMPONENT_RELAY, LABEL_CLUSTER, LABEL_COMPONENT, LABEL_MANAGED_BY } from '../api/labels.ts'
import { GROUP, KIND, VERSION } from '../api/turn-cluster.ts'
import type { ClusterKey } from '../controller/contract.ts'
import type { Clock } from '../queue/clock.ts'
import type { KubeClient } from './client.ts'
import { NetworkSource } from './cluster-networks.ts'
import { Collection } from './collection.ts'
import { NodeSource } from './node-source.ts'
import type { ConfigMapObject, KubeObject, PodObject } from './objects.ts'
import { objectKey } from './objects.ts'
import type { ReflectorCounts } from './reflector.ts'
import { SecretReader } from './secret-reader.ts'

export interface WorldOptions {
  /** Empty: all. */
  namespaces: readonly string[]
  /** The API server's address among the Services. */
  apiService?: string | undefined
  /** Called with a TurnCluster whose objects have changed. */
  onChange: (key: ClusterKey) => void
  onError?: (error: Error) => void
  clock: Clock
  random: () => number
}

/** Everything of Kubernetes that the operator looks at; what changes names the TurnCluster that it matters to. */
export class World {
  readonly clusters: Collection<KubeObject>
  readonly pods: Collection<PodObject>
  readonly configMaps: Collection<ConfigMapObject>
  readonly nodes: NodeSource
  readonly networks: NetworkSource
  readonly secrets: SecretReader

  constructor(client: KubeClient, options: WorldOptions) {
    const { namespaces, onChange } = options
    const common = {
      namespaces,
      clock: options.clock,
      random: options.random,
      ...(options.onError ? { onError: options.onError } : {}),
    }
    const ofCluster = (after: KubeObject | undefined, before: KubeObject | undefined): void => {
      const key = clusterOf((after ?? before)!)
      if (key) onChange(key)
    }
    this.clusters = new Collection<KubeObject>(client, {
      ...common,
      apiVersion: `${GROUP}/${VERSION}`,
      kind: KIND,
      trim: withoutManagedFields,
      onChange: (after, before) => {
        const key = objectKey((after ?? before)!)
        if (after?.metadata.generation !== before?.metadata.generation) void this.secrets.refresh(key)
        onChange(key)
      },
    })
    this.pods = new Collection<PodObject>(client, {
      ...common,
      apiVersion: 'v1',
      kind: 'Pod',
      labelSelector: `${LABEL_CLUSTER},${LABEL_COMPONENT}=${COMPONENT_RELAY}`,
      indexOf: (pod) => [
        `uid:${pod.metadata.uid}`,
        clusterOf(pod) ?? '',
        ...(pod.spec?.nodeName ? [nodeWord(pod.spec.nodeName)] : []),
      ],
      trim: trimPod,
      onChange: ofCluster,
    })
    this.configMaps = new Collection<ConfigMapObject>(client, {
      ...common,
      apiVersion: 'v1',
      kind: 'ConfigMap',
      labelSelector: `${LABEL_CLUSTER},${LABEL_MANAGED_BY}=turnfleet`,
      trim: withoutManagedFields,
      onChange: ofCluster,
    })
    this.nodes = new NodeSource(client, { ...common, onChange: (name) => this.#onNode(name, onChange) })
    this.networks = new NetworkSource(client, {
      ...common,
      nodes: this.nodes,
      apiService: options.apiService,
    })
    this.secrets = new SecretReader(client, { ...common, onChange })
  }

  /** Resolves when everything was seen once, but for what the API server refuses. */
  async start(): Promise<void> {
    for (const collection of this.#collections()) collection.start()
    await Promise.all([...this.#collections().map((collection) => collection.settled()), this.nodes.start()])
  }

  /** Whether everything of that namespace was seen once: nothing may be decided before. */
  hasSynced(namespace: string): boolean {
    return this.#collections().every((collection) => collection.hasSynced(namespace))
  }

  async stop(): Promise<void> {
    this.secrets.stop()
    await Promise.all([...this.#collections().map((collection) => collection.stop()), this.nodes.stop()])
  }

  /** The lists that do not work, with why. */
  problems(): string[] {
    const { lastError } = this.nodes.reflector
    const collections = this.#collections().flatMap((collection) => collection.problems())
    return lastError ? [...collections, `Node: ${lastError}`] : collections
  }

  /** By kind. */
  counts(): Record<string, ReflectorCounts> {
    const counts: Record<string, ReflectorCounts> = { Node: this.nodes.reflector.counts }
    for (const collection of [this.clusters, this.pods, this.configMaps])
      counts[collection.kind] = collection.counts()
    return counts
  }

  hasRelay(namespace: string, uid: string): boolean {
    return this.pods.indexed(namespace, `uid:${uid}`).length > 0
  }

  podsOf(key: ClusterKey, namespace: string): PodObject[] {
    return this.pods.indexed(namespace, key)
  }

  #collections(): Collection<KubeObject>[] {
    return [this.clusters, this.pods, this.configMaps]
  }

  #onNode(name: string, onChange: (key: ClusterKey) => void): void {
    const keys = new Set<string>()
    for (const pod of this.pods.indexedEverywhere(nodeWord(name))) keys.add(clusterOf(pod) ?? '')
    for (const key of keys) if (key) onChange(key)
  }
}

function nodeWord(name: string): string {
  return `node:${name}`
}

function clusterOf({ metadata }: KubeObject): ClusterKey | undefined {
  const name = metadata.labels?.[LABEL_CLUSTER]
  return name ? `${metadata.namespace}/${name}` : undefined
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown }
  return { ...object, metadata }
}

/** What a pod's containers are made of is ours, and most of its size. */
function trimPod(pod: PodObject): PodObject {
  const { phase, reason, message, conditions, containerStatuses, initContainerStatuses } = pod.status ?? {}
  return {
    metadata: withoutManagedFields(pod).metadata,
    ...(pod.spec?.nodeName ? { spec: { nodeName: pod.spec.nodeName } } : {}),
    status: {
      ...(phase ? { phase } : {}),
      ...(reason ? { reason } : {}),
      ...(message ? { message } : {}),
      ...(conditions ? { conditions } : {}),
      ...(containerStatuses ? { containerStatuses } : {}),
      ...(initContainerStatuses ? { initContainerStatuses } : {}),
    },
  }
}
