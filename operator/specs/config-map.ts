import { canonicalJson, contentHash } from '../api/hash.ts'
import { ANNOTATION_HASH } from '../api/labels.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import type { ClusterNetworks } from '../controller/contract.ts'
import { handsOver } from './hand-over.ts'
import { clusterLabels, configMapName, ownerReference, RELAY_FILES } from './names.ts'
import type { ConfigMap } from './objects.ts'
import { relayConfigFor } from './relay-config.ts'

/** How relays reach the operator to report. */
export interface OperatorEndpoint {
  url: string
  /** Certificate authority of the operator, PEM. */
  caPem: string
  /** Name in the operator's certificate, where `url` names an IP address. */
  serverName?: string
}

/** The ConfigMap that every relay of the cluster mounts; its hash is in `ANNOTATION_HASH`. */
export function relayConfigMap(
  cluster: TurnCluster,
  operator: OperatorEndpoint | undefined,
  networks?: ClusterNetworks,
): ConfigMap {
  const data = configMapData(cluster, operator, networks)
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: configMapName(cluster.metadata.name),
      namespace: cluster.metadata.namespace,
      labels: clusterLabels(cluster.metadata.name),
      annotations: { [ANNOTATION_HASH]: contentHash(canonicalJson(data)) },
      ownerReferences: [ownerReference(cluster)],
    },
    data,
  }
}

/** Value of `ObservedCluster.desiredConfigHash` for Kubernetes. */
export function relayConfigHash(
  cluster: TurnCluster,
  operator: OperatorEndpoint | undefined,
  networks?: ClusterNetworks,
): string {
  return contentHash(canonicalJson(configMapData(cluster, operator, networks)))
}

function configMapData(
  cluster: TurnCluster,
  operator: OperatorEndpoint | undefined,
  networks: ClusterNetworks | undefined,
): Record<string, string> {
  const config = relayConfigFor(cluster, {
    networks,
    addressesFile: RELAY_FILES.addresses,
    keysFile: RELAY_FILES.keys,
    revocationsFile: RELAY_FILES.revocations,
    tls: { certFile: RELAY_FILES.tlsCertificate, keyFile: RELAY_FILES.tlsKey },
    ...(handsOver(cluster.spec) && { handOverSocket: RELAY_FILES.handOver }),
    ...(operator && {
      operator: {
        url: operator.url,
        tokenFile: RELAY_FILES.token,
        caFile: RELAY_FILES.operatorCa,
        ...(operator.serverName !== undefined && { serverName: operator.serverName }),
      },
    }),
  })
  // JSON is YAML; and it leaves no way for a value to end its line and begin a field of its own.
  const data: Record<string, string> = { 'relay.yaml': `${JSON.stringify(config, null, 2)}\n` }
  if (operator) data['operator-ca.crt'] = operator.caPem
  return data
}
