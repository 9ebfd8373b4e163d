import { availableParallelism } from 'node:os'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { canonicalJson, contentHash } from '../api/hash.ts'
import { effectiveListeners } from '../api/listeners.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { relayConfigFor } from '../specs/relay-config.ts'
import type { LocalRelay } from './local-relay.ts'

/** Files that the relays of a cluster share. */
export interface ClusterFiles {
  keysFile: string
  revocationsFile: string
  tls?: { certFile: string; keyFile: string }
}

const REPORT_INTERVAL_SECONDS = 1

/** The configuration of one relay of this machine: the cluster's, with ports and files of its own. */
export function localRelayConfig(
  cluster: TurnCluster,
  relay: LocalRelay,
  files: ClusterFiles,
  operatorUrl: string,
): RelayConfigInput {
  const { listeners, relay: relayPorts } = relay.ports
  const config = relayConfigFor(cluster, {
    ...files,
    addressesFile: relay.file('addresses.yaml'),
    operator: { url: operatorUrl, tokenFile: relay.file('token'), intervalSeconds: REPORT_INTERVAL_SECONDS },
    control: { address: '127.0.0.1', port: relay.options.controlPort },
    listeners: effectiveListeners(cluster.spec).map((listener) => ({
      ...listener,
      port: listeners.get(listener.port) ?? listener.port,
    })),
    relayPorts,
    workers: workersOf(cluster),
    identity: { uid: relay.uid, name: relay.options.name, cluster: relay.options.key },
  })
  const allocations = Math.min(cluster.spec.limits.allocationsPerRelay, relayPorts.max - relayPorts.min + 1)
  return { ...config, limits: { ...config.limits, allocations } }
}

/** Changes when the configurations of the relays must be written anew. */
export function localConfigHash(cluster: TurnCluster, files: ClusterFiles): string {
  return contentHash(canonicalJson(relayConfigFor(cluster, files)))
}

/** The relays of a fleet share the cores of this machine. */
function workersOf({ spec }: TurnCluster): number | undefined {
  const { autoscaling, replicas } = spec
  if (spec.datapath === 'Portable' || spec.datapath === 'Kernel') return undefined
  const relays = autoscaling.enabled ? autoscaling.maxReplicas : replicas
  return Math.ceil(availableParallelism() / Math.max(1, relays))
}
