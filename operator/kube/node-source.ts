import { isIpAddress } from '../api/ip.ts'
import type { ObservedNode } from '../controller/contract.ts'
import type { Clock } from '../queue/clock.ts'
import { isStatus, type KubeClient } from './client.ts'
import type { NodeObject } from './objects.ts'
import { observedNode } from './observe.ts'
import { Reflector } from './reflector.ts'

const NODES_PATH = '/api/v1/nodes'
/** How old what was got by name may be. */
const KEPT_MS = 15_000
const KEPT_MAX = 10_000

export interface NodeSourceOptions {
  /** Called with the node's name when something of it that matters has changed. */
  onChange: (name: string) => void
  onError?: (error: Error) => void
  clock: Clock
  random: () => number
}

/**
 * The cluster's nodes, watched where the operator may; where it may only get them by name, those that relays
 * run on are got when they are needed.
 */
export class NodeSource {
  readonly reflector: Reflector<NodeObject>
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #observed = new Map<string, ObservedNode>()
  readonly #podCidrs = new Map<string, readonly string[]>()
  readonly #got = new Map<string, { node: ObservedNode | undefined; atMs: number }>()
  #mayWatch = true

  constructor(client: KubeClient, options: NodeSourceOptions) {
    this.#client = client
    this.#clock = options.clock
    this.reflector = new Reflector<NodeObject>(client, {
      path: NODES_PATH,
      trim: trimNode,
      onChange: (after, before) => {
        const name = (after ?? before)!.metadata.name
        if (after) this.#podCidrs.set(name, after.spec?.podCIDRs ?? [])
        else this.#podCidrs.delete(name)
        if (this.#remember(name, after && observedNode(after))) options.onChange(name)
      },
      onError: (error) => {
        if (!isStatus(error, 401, 403)) return options.onError?.(error)
        if (this.#mayWatch) options.onError?.(new Error(`${error.message}: nodes are got by name instead`))
        this.#mayWatch = false
      },
      clock: options.clock,
      random: options.random,
    })
  }

  /** Whether all nodes are known. */
  get mayWatch(): boolean {
    return this.#mayWatch
  }

  /** The networks of pods, and every address of a node, each once and in order. */
  networks(): { podCidrs: string[]; addresses: string[] } {
    const addresses = [...this.#observed.values()].flatMap((node) => [
      ...node.annotatedAddresses,
      ...node.externalAddresses,
      ...node.internalAddresses,
    ])
    return {
      podCidrs: [...this.#podCidrs.values()].flat(),
      addresses: [...new Set(addresses)].filter(isIpAddress).sort(),
    }
  }

  /** Resolves when the nodes are known, or when it is known that they must be asked for by name. */
  async start(): Promise<void> {
    this.reflector.start()
    await this.reflector.settled
  }

  async stop(): Promise<void> {
    await this.reflector.stop()
  }

  /** All the nodes that are known; those named are looked up where they are not. */
  async nodes(named: readonly string[]): Promise<ObservedNode[]> {
    const found = new Map(this.#observed)
    for (const name of new Set(named)) {
      if (found.has(name)) continue
      const node = await this.#get(name)
      if (node) found.set(name, node)
    }
    return [...found.values()]
  }

  async #get(name: string): Promise<ObservedNode | undefined> {
    const known = this.#got.get(name)
    if (known && this.#clock.nowMs() - known.atMs < KEPT_MS) return known.node
    const node = await this.#look(name)
    this.#got.delete(name)
    this.#got.set(name, { node, atMs: this.#clock.nowMs() })
    for (const oldest of this.#got.keys()) if (this.#got.size > KEPT_MAX) this.#got.delete(oldest)
    return node
  }

  async #look(name: string): Promise<ObservedNode | undefined> {
    try {
      const object = await this.#client.find<NodeObject>(`${NODES_PATH}/${encodeURIComponent(name)}`)
      return object && observedNode(object)
    } catch (error) {
      if (!isStatus(error, 403)) throw error
      // A node that may not be looked at is not a node that is gone.
      return { name, ready: true, annotatedAddresses: [], externalAddresses: [], internalAddresses: [] }
    }
  }

  /** True where it differs from what was known. */
  #remember(name: string, node: ObservedNode | undefined): boolean {
    const before = this.#observed.get(name)
    if (node) this.#observed.set(name, node)
    else this.#observed.delete(name)
    this.#got.delete(name)
    return JSON.stringify(before) !== JSON.stringify(node)
  }
}

/** Images, volumes and what else a node reports would be most of the operator's memory. */
function trimNode({ metadata, spec, status }: NodeObject): NodeObject {
  const { name, uid, resourceVersion, labels, annotations, deletionTimestamp } = metadata
  return {
    metadata: {
      name,
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
    spec: {
      ...(spec?.podCIDRs ? { podCIDRs: spec.podCIDRs } : {}),
      ...(spec?.unschedulable ? { unschedulable: true } : {}),
      ...(spec?.taints ? { taints: spec.taints } : {}),
    },
    status: {
      ...(status?.addresses ? { addresses: status.addresses } : {}),
      ...(status?.conditions ? { conditions: status.conditions.filter(({ type }) => type === 'Ready') } : {}),
    },
  }
}
