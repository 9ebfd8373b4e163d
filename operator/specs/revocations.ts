import { NO_REVOCATIONS, type RevocationList, revocationList } from '../../relay/api/revocations.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { clusterLabels, ownerReference, revocationsName } from './names.ts'
import type { ConfigMap } from './objects.ts'

/** Entry of the ConfigMap, and name of the file that relays boot with. */
const ENTRY = 'revocations.yaml'

/** The ConfigMap that keeps the revocations of a cluster; every relay mounts it. */
export function revocationsConfigMap(
  cluster: { metadata: Pick<TurnCluster['metadata'], 'name' | 'namespace' | 'uid'> },
  list: RevocationList,
): ConfigMap {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: revocationsName(cluster.metadata.name),
      namespace: cluster.metadata.namespace,
      labels: clusterLabels(cluster.metadata.name),
      annotations: {},
      ownerReferences: [ownerReference(cluster)],
    },
    data: { [ENTRY]: revocationsText(list) },
  }
}

/** A list as relays read it. */
export function revocationsText(list: RevocationList): string {
  return `${JSON.stringify(list, null, 2)}\n`
}

/** The list of a file or of a ConfigMap's entry, which a person may have edited; undefined: it is malformed. */
export function parseRevocations(text: string | undefined): RevocationList | undefined {
  if (text === undefined) return NO_REVOCATIONS
  try {
    return revocationList.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** The list that a ConfigMap keeps. */
export function revocationsIn(
  data: Readonly<Record<string, string>> | undefined,
): RevocationList | undefined {
  return parseRevocations(data?.[ENTRY])
}
