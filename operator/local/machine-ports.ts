import { effectiveListeners } from '../api/listeners.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { chooseListenerPorts, chooseRelayPorts, probePort, type RelayPorts, slicesFor } from './port-plan.ts'

export interface MachinePortsOptions {
  /** Ports of every relay that runs here. */
  inUse: () => readonly RelayPorts[]
  /** The clusters of this machine. */
  clusters: () => readonly TurnCluster[]
  say: (message: string) => void
}

/** Gives the relays of this machine ports that do not collide. */
export class MachinePorts {
  readonly #options: MachinePortsOptions

  constructor(options: MachinePortsOptions) {
    this.#options = options
  }

  /** For a new relay. */
  async choose(cluster: TurnCluster, relay: string): Promise<RelayPorts> {
    const taken = this.#listenersInUse()
    const listeners = await chooseListenerPorts(wantedPorts(cluster), taken)
    await this.#tellShifted(relay, listeners, taken)
    return { listeners, relay: this.#relayPorts(cluster) }
  }

  /** For a relay whose cluster has changed: what it has and may keep stays. */
  async follow(cluster: TurnCluster, ports: RelayPorts): Promise<RelayPorts> {
    const wanted = wantedPorts(cluster)
    const kept = [...ports.listeners].filter(([port]) => wanted.includes(port))
    const added = wanted.filter((port) => !ports.listeners.has(port))
    const chosen = await chooseListenerPorts(added, this.#listenersInUse())
    const { min, max } = cluster.spec.network.relayPorts
    const fits = ports.relay.min >= min && ports.relay.max <= max
    return {
      listeners: new Map([...kept, ...chosen]),
      relay: fits ? ports.relay : this.#relayPorts(cluster),
    }
  }

  #relayPorts({ spec: { network } }: TurnCluster): RelayPorts['relay'] {
    const slices = slicesFor(relaysWanted(this.#options.clusters()))
    const taken = this.#options.inUse().map(({ relay }) => relay)
    const chosen = chooseRelayPorts(network.relayPorts, slices, taken)
    if (chosen) return chosen
    const { min, max } = network.relayPorts
    throw new Error(
      `no part of the relay ports ${min}-${max} is left for one more relay: widen network.relayPorts`,
    )
  }

  #listenersInUse(): Set<number> {
    return new Set(this.#options.inUse().flatMap(({ listeners }) => [...listeners.values()]))
  }

  /** Ports that differ because of somebody else than our own relays. */
  async #tellShifted(
    relay: string,
    listeners: ReadonlyMap<number, number>,
    ours: ReadonlySet<number>,
  ): Promise<void> {
    for (const [wanted, chosen] of listeners) {
      if (wanted === chosen || ours.has(wanted)) continue
      const why =
        (await probePort(wanted)) === 'forbidden'
          ? `this user may not open port ${wanted} (sysctl net.ipv4.ip_unprivileged_port_start=${wanted} lets it)`
          : `another program has port ${wanted}`
      this.#options.say(`${why}: ${relay} listens on ${chosen} instead`)
    }
  }
}

function wantedPorts({ spec }: TurnCluster): number[] {
  return effectiveListeners(spec).map(({ port }) => port)
}

/** Relays that clusters want together. */
function relaysWanted(clusters: readonly TurnCluster[]): number {
  return clusters.reduce((sum, { spec: { autoscaling, replicas } }) => {
    return sum + (autoscaling.enabled ? autoscaling.maxReplicas : replicas)
  }, 0)
}
