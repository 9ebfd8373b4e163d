import type { ClusterNetworks } from '../controller/contract.ts'
import type { Clock } from '../queue/clock.ts'
import { aggregateNetworks } from './aggregate-networks.ts'
import { isStatus, type KubeClient } from './client.ts'
import type { NodeSource } from './node-source.ts'
import type { KubeObject, ListOf } from './objects.ts'

const SERVICE_CIDRS_PATH = '/apis/networking.k8s.io/v1/servicecidrs'
/** They hardly ever change. */
const SERVICE_CIDRS_KEPT_MS = 300_000
/** What the relay's configuration has room for; the rest is left out, and told. */
const ENTRIES_MAX = 10_000

interface ServiceCidr extends KubeObject {
  spec?: { cidrs?: string[] }
}

export interface NetworkSourceOptions {
  nodes: NodeSource
  /** The API server's address among the Services, which every pod is told. */
  apiService: string | undefined
  clock: Clock
  onError?: (error: Error) => void
}

/** The networks of the cluster that clients of a relay have no business in: of pods, Services and nodes. */
export class NetworkSource {
  readonly #client: KubeClient
  readonly #options: NetworkSourceOptions
  #serviceCidrs: string[] | undefined
  #readAtMs = Number.NEGATIVE_INFINITY
  #current: ClusterNetworks = { internal: [], nodes: [] }

  constructor(client: KubeClient, options: NetworkSourceOptions) {
    this.#client = client
    this.#options = options
  }

  /** The same object as long as nothing has changed. */
  async current(): Promise<ClusterNetworks> {
    await this.#readServiceCidrs()
    const { nodes, apiService } = this.#options
    const { podCidrs, addresses } = nodes.networks()
    const services = [...(this.#serviceCidrs ?? []), ...(apiService === undefined ? [] : [apiService])]
    const internal = aggregateNetworks([...podCidrs, ...services])
    const found: ClusterNetworks = {
      internal: internal.slice(0, ENTRIES_MAX),
      nodes: addresses.slice(0, ENTRIES_MAX),
      ...(nodes.mayWatch ? {} : { missing: 'the operator may not list nodes' }),
    }
    if (JSON.stringify(found) !== JSON.stringify(this.#current)) this.#current = found
    return this.#current
  }

  async #readServiceCidrs(): Promise<void> {
    const nowMs = this.#options.clock.nowMs()
    if (nowMs - this.#readAtMs < SERVICE_CIDRS_KEPT_MS) return
    this.#readAtMs = nowMs
    try {
      const { items } = await this.#client.get<ListOf<ServiceCidr>>(SERVICE_CIDRS_PATH)
      this.#serviceCidrs = items.flatMap(({ spec }) => spec?.cidrs ?? [])
    } catch (error) {
      // A cluster before 1.33 has none, and who serves one namespace may not read them.
      if (isStatus(error, 401, 403, 404)) return
      // Relays that know them must not be told to forget them because of a restart of the operator.
      if (this.#serviceCidrs === undefined) {
        this.#readAtMs = Number.NEGATIVE_INFINITY
        throw error
      }
      this.#options.onError?.(error as Error)
    }
  }
}
