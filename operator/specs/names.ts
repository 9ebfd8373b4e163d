import {
  COMPONENT_RELAY,
  LABEL_CLUSTER,
  LABEL_COMPONENT,
  LABEL_MANAGED_BY,
  LABEL_NAME,
} from '../api/labels.ts'
import { GROUP, KIND, type TurnCluster, VERSION } from '../api/turn-cluster.ts'
import type { OwnerReference } from './objects.ts'

/** Where the files of a relay lie in its container. */
export const RELAY_FILES = {
  config: '/etc/turnfleet/config/relay.yaml',
  operatorCa: '/etc/turnfleet/config/operator-ca.crt',
  addresses: '/etc/turnfleet/pod/addresses',
  keys: '/etc/turnfleet/keys/keys.yaml',
  revocations: '/etc/turnfleet/revocations/revocations.yaml',
  tlsCertificate: '/etc/turnfleet/tls/tls.crt',
  tlsKey: '/etc/turnfleet/tls/tls.key',
  token: '/var/run/secrets/turnfleet.dev/token',
  handOver: '/run/turnfleet/hand-over.sock',
} as const

/** `<cluster>-<ordinal>-<revision>`. */
export function relayName(cluster: string, ordinal: number, revision: string): string {
  return `${cluster}-${ordinal}-${revision}`
}

/** Ordinal and revision of a relay's name; undefined where `name` is none of this cluster. */
export function parseRelayName(
  cluster: string,
  name: string,
): { ordinal: number; revision: string } | undefined {
  if (!name.startsWith(`${cluster}-`)) return undefined
  const match = /^(\d{1,6})-([0-9a-f]{8})$/.exec(name.slice(cluster.length + 1))
  return match ? { ordinal: Number(match[1]), revision: match[2] ?? '' } : undefined
}

export function configMapName(cluster: string): string {
  return `${cluster}-relay`
}

/** The ConfigMap that keeps a cluster's revocations. */
export function revocationsName(cluster: string): string {
  return `${cluster}-revocations`
}

/** The key ring's Secret: the one that the spec names, else the one that the operator makes. */
export function keyRingSecretName({ metadata, spec }: Pick<TurnCluster, 'metadata' | 'spec'>): string {
  return spec.credentials.secretName ?? `${metadata.name}-turn-keys`
}

/** Labels of everything that belongs to a cluster. */
export function clusterLabels(cluster: string): Record<string, string> {
  return { [LABEL_NAME]: 'turnfleet', [LABEL_MANAGED_BY]: 'turnfleet', [LABEL_CLUSTER]: cluster }
}

/** Selector of the relays of a cluster, in the string form that `/scale` wants. */
export function relaySelector(cluster: string): string {
  return `${LABEL_CLUSTER}=${cluster},${LABEL_COMPONENT}=${COMPONENT_RELAY}`
}

export function ownerReference({
  metadata,
}: {
  metadata: Pick<TurnCluster['metadata'], 'name' | 'uid'>
}): OwnerReference {
  return {
    apiVersion: `${GROUP}/${VERSION}`,
    kind: KIND,
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}
