import type { TurnCluster } from '../api/turn-cluster.ts'
import type { KeyRing } from '../controller/contract.ts'
import { clusterLabels, keyRingSecretName, ownerReference } from './names.ts'
import type { Secret } from './objects.ts'

/** Entry of the Secret that holds the key ring, in the form of `keyRingFile` of the relay's API. */
export const KEY_RING_ENTRY = 'keys.yaml'

/** The Secret with a key ring that the operator has made. */
export function keyRingSecret(cluster: TurnCluster, ring: KeyRing): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: keyRingSecretName(cluster),
      namespace: cluster.metadata.namespace,
      labels: clusterLabels(cluster.metadata.name),
      annotations: {},
      ownerReferences: [ownerReference(cluster)],
    },
    type: 'Opaque',
    stringData: { [KEY_RING_ENTRY]: keyRingText(ring) },
  }
}

/** A key ring as the relay reads it. */
export function keyRingText(ring: KeyRing): string {
  const { keys, nonceKeys, tokenKeys } = ring
  return `${JSON.stringify({ keys, nonceKeys, tokenKeys }, null, 2)}\n`
}
