import { conditionOf, transition } from '../api/conditions.ts'
import { parseTurnCluster } from '../api/defaults.ts'
import { canonicalJson } from '../api/hash.ts'
import { turnClusterStatus } from '../api/status.ts'
import type { Condition, TurnCluster, TurnClusterStatus } from '../api/turn-cluster.ts'
import type { ClusterNetworks } from '../controller/contract.ts'
import { type OperatorEndpoint, relayConfigHash } from '../specs/config-map.ts'
import type { RelayPodInputs } from '../specs/pod.ts'
import { relayRevision } from '../specs/revision.ts'
import type { KubeClient } from './client.ts'
import { writeClusterStatus } from './cluster-status.ts'
import type { KubeObject } from './objects.ts'
import type { World } from './world.ts'

/** What follows from a TurnCluster and the operator's endpoint alone. */
export interface DerivedCluster {
  cluster: TurnCluster
  revision: string
  desiredConfigHash: string
  endpoint: OperatorEndpoint
  networks: ClusterNetworks
}

interface DerivedClustersOptions {
  client: KubeClient
  world: World
  podInputs: () => RelayPodInputs
  endpoint: () => OperatorEndpoint
  wallMs: () => number
}

/** TurnClusters as parsed, by the object as the reflector has it, so that an unchanged one is judged once. */
export class DerivedClusters {
  readonly #options: DerivedClustersOptions
  readonly #derived = new WeakMap<KubeObject, DerivedCluster>()

  constructor(options: DerivedClustersOptions) {
    this.#options = options
  }

  /** Throws what is wrong with a spec that cannot be worked on, after its condition says so. */
  async of(object: KubeObject): Promise<DerivedCluster> {
    const endpoint = this.#options.endpoint()
    const known = this.#derived.get(object)
    const networks = await this.#options.world.networks.current()
    if (known?.endpoint === endpoint && known.networks === networks) return known
    const cluster = await this.#parse(object)
    const revision = relayRevision(cluster, this.#options.podInputs())
    const desiredConfigHash = relayConfigHash(cluster, endpoint, networks)
    const derived = { cluster, revision, endpoint, networks, desiredConfigHash }
    this.#derived.set(object, derived)
    return derived
  }

  /** A spec that an older schema let through cannot be worked on: its condition says so, and its relays stay. */
  async #parse(object: KubeObject): Promise<TurnCluster> {
    const parsed = parseTurnCluster(object)
    if ('cluster' in parsed) return parsed.cluster
    const stored = turnClusterStatus.safeParse((object as { status?: unknown }).status)
    const status = stored.success ? (stored.data as TurnClusterStatus) : {}
    const message = parsed.errors.join('; ').slice(0, 1000)
    const { generation = 0 } = object.metadata
    const invalid: Pick<Condition, 'status' | 'reason' | 'message'> = {
      status: 'True',
      reason: 'InvalidSpec',
      message,
    }
    const degraded = transition(status.conditions, 'Degraded', invalid, generation, this.#options.wallMs())
    if (canonicalJson(conditionOf(status.conditions, 'Degraded')) !== canonicalJson(degraded)) {
      const others = (status.conditions ?? []).filter(({ type }) => type !== 'Degraded')
      const { name, namespace = '', uid = '' } = object.metadata
      await writeClusterStatus(
        this.#options,
        { metadata: { name, namespace, uid } },
        { ...status, conditions: [...others, degraded] },
      )
    }
    throw new Error(message)
  }
}
