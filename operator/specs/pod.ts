import { durationSeconds } from '../api/durations.ts'
import {
  ANNOTATION_ADDRESSES,
  COMPONENT_RELAY,
  LABEL_COMPONENT,
  LABEL_ORDINAL,
  LABEL_REVISION,
} from '../api/labels.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import type { Succession } from '../controller/contract.ts'
import { relayAffinity } from './affinity.ts'
import { relayContainer } from './container.ts'
import { handOverFolder, handsOver } from './hand-over.ts'
import { clusterLabels, ownerReference, relayName } from './names.ts'
import type { InitContainer, Pod, PodSpec } from './objects.ts'
import { relayVolumes } from './volumes.ts'

/** What the operator's own configuration says about relay pods. */
export interface RelayPodInputs {
  image: string
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  imagePullSecrets?: readonly string[]
  /** Absent: the default account of the namespace; a relay has no rights in the API. */
  serviceAccountName?: string
  /** The relay whose listeners this one takes, and where it serves. */
  succeeds?: Succession | undefined
  /** URL that relays report to; one with a host name needs the cluster's DNS. */
  operatorUrl: string
}

/** User and group that relays run as. */
const RELAY_USER = 65532
/** Time after the longest drain in which a relay says goodbye. */
const GRACE_SECONDS = 30

/** The pod of one relay: on the host network, one a node, without rights. */
export function relayPod(
  cluster: TurnCluster,
  ordinal: number,
  revision: string,
  inputs: RelayPodInputs,
): Pod {
  const { metadata, spec } = cluster
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: relayName(metadata.name, ordinal, revision),
      namespace: metadata.namespace,
      labels: {
        ...spec.pod.labels,
        ...clusterLabels(metadata.name),
        [LABEL_COMPONENT]: COMPONENT_RELAY,
        [LABEL_ORDINAL]: String(ordinal),
        [LABEL_REVISION]: revision,
      },
      annotations: {
        ...spec.pod.annotations,
        [ANNOTATION_ADDRESSES]: JSON.stringify(inputs.succeeds?.addresses ?? []),
      },
      ownerReferences: [ownerReference(cluster)],
    },
    spec: podSpec(cluster, ordinal, revision, inputs),
  }
}

function podSpec(cluster: TurnCluster, ordinal: number, revision: string, inputs: RelayPodInputs): PodSpec {
  const { nodeSelector, tolerations, topologySpreadConstraints, priorityClassName } = cluster.spec.pod
  return {
    hostNetwork: true,
    dnsPolicy: dnsPolicy(inputs.operatorUrl),
    enableServiceLinks: false,
    automountServiceAccountToken: false,
    serviceAccountName: inputs.serviceAccountName ?? 'default',
    ...(inputs.imagePullSecrets?.length && {
      imagePullSecrets: inputs.imagePullSecrets.map((name) => ({ name })),
    }),
    terminationGracePeriodSeconds: durationSeconds(cluster.spec.drain.maxDuration) + GRACE_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: RELAY_USER,
      runAsGroup: RELAY_USER,
      fsGroup: RELAY_USER,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // The scheduler would keep two relays of a cluster apart.
    ...(inputs.succeeds && { nodeName: inputs.succeeds.node }),
    affinity: relayAffinity(cluster.metadata.name, cluster.spec.pod.affinity),
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(topologySpreadConstraints && { topologySpreadConstraints }),
    ...(priorityClassName !== undefined && { priorityClassName }),
    ...(handsOver(cluster.spec) && { initContainers: [folderOf(inputs)] }),
    containers: [relayContainer(cluster, ordinal, revision, inputs)],
    volumes: relayVolumes(cluster),
  }
}

function folderOf({ image, imagePullPolicy }: RelayPodInputs): InitContainer {
  return { ...handOverFolder(image, RELAY_USER), ...(imagePullPolicy && { imagePullPolicy }) }
}

/** Pods of the host network ask the node's resolver unless told otherwise, and that knows no Service. */
function dnsPolicy(operatorUrl: string): string {
  const host = /^[a-z]+:\/\/(\[[^\]]*\]|[^:/]*)/.exec(operatorUrl)?.[1] ?? ''
  return host.startsWith('[') || /^[\d.]+$/.test(host) ? 'Default' : 'ClusterFirstWithHostNet'
}
