import { REPORT_TOKEN_AUDIENCE } from '../../relay/api/load-report.ts'
import { ANNOTATION_ADDRESSES } from '../api/labels.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'
import { HAND_OVER_MOUNT, handOverVolume, handsOver } from './hand-over.ts'
import { configMapName, keyRingSecretName, RELAY_FILES, revocationsName } from './names.ts'
import type { Container, Volume } from './objects.ts'

/** Mode 0440: the relay's group reads. */
const GROUP_READ = 0o440
const TOKEN_SECONDS = 3600

/** Only the revocations are optional, as most clusters have none: a Secret that is deleted later leaves its last content with the relays that run. */
export function relayVolumes(cluster: TurnCluster): Volume[] {
  const tls = cluster.spec.tls
  return [
    { name: 'config', configMap: { name: configMapName(cluster.metadata.name) } },
    { name: 'keys', secret: { secretName: keyRingSecretName(cluster), defaultMode: GROUP_READ } },
    { name: 'revocations', configMap: { name: revocationsName(cluster.metadata.name), optional: true } },
    ...(handsOver(cluster.spec) ? [handOverVolume(cluster)] : []),
    ...(tls ? [{ name: 'tls', secret: { secretName: tls.secretName, defaultMode: GROUP_READ } }] : []),
    {
      name: 'pod',
      downwardAPI: {
        items: [
          {
            path: baseName(RELAY_FILES.addresses),
            fieldRef: { fieldPath: `metadata.annotations['${ANNOTATION_ADDRESSES}']` },
          },
        ],
      },
    },
    {
      name: 'token',
      projected: {
        sources: [
          {
            serviceAccountToken: {
              audience: REPORT_TOKEN_AUDIENCE,
              expirationSeconds: TOKEN_SECONDS,
              path: baseName(RELAY_FILES.token),
            },
          },
        ],
      },
    },
  ]
}

export function relayMounts(cluster: TurnCluster): Container['volumeMounts'] {
  const mounts = [
    { name: 'config', file: RELAY_FILES.config },
    { name: 'keys', file: RELAY_FILES.keys },
    { name: 'revocations', file: RELAY_FILES.revocations },
    ...(cluster.spec.tls ? [{ name: 'tls', file: RELAY_FILES.tlsKey }] : []),
    { name: 'pod', file: RELAY_FILES.addresses },
    { name: 'token', file: RELAY_FILES.token },
  ]
  const readOnly = mounts.map(({ name, file }) => ({ name, mountPath: directory(file), readOnly: true }))
  return handsOver(cluster.spec) ? [...readOnly, HAND_OVER_MOUNT] : readOnly
}

function directory(file: string): string {
  return file.slice(0, file.lastIndexOf('/'))
}

function baseName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1)
}
