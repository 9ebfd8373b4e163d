import type { TurnCluster } from '../api/turn-cluster.ts'
import { RELAY_FILES } from './names.ts'
import type { Container, InitContainer, Volume } from './objects.ts'

/** Folder of the node under which each cluster has one of its own. */
const NODE_FOLDER = '/run/turnfleet'
const VOLUME = 'hand-over'
const FOLDER = RELAY_FILES.handOver.slice(0, RELAY_FILES.handOver.lastIndexOf('/'))

/** Whether relays are replaced by ones that take their listeners. */
export function handsOver(spec: Pick<TurnCluster['spec'], 'update'>): boolean {
  return spec.update.strategy === 'HandOver'
}

/** The folder that the relays of one cluster on one node have in common. */
export function handOverVolume({ metadata }: Pick<TurnCluster, 'metadata'>): Volume {
  return { name: VOLUME, hostPath: { path: `${NODE_FOLDER}/${metadata.uid}`, type: 'DirectoryOrCreate' } }
}

export const HAND_OVER_MOUNT: Container['volumeMounts'][number] = {
  name: VOLUME,
  mountPath: FOLDER,
  readOnly: false,
}

/** The kubelet makes the folder as root's, and no other way gives it to the user that relays run as. */
export function handOverFolder(image: string, user: number): InitContainer {
  const owner = `"$(stat -c %u ${FOLDER})"`
  return {
    name: 'hand-over-folder',
    image,
    command: [
      'sh',
      '-c',
      `[ ${owner} = ${user} ] || { chmod 0700 ${FOLDER} && chown ${user}:${user} ${FOLDER}; }`,
    ],
    securityContext: {
      runAsNonRoot: false,
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['CHOWN'] },
    },
    volumeMounts: [HAND_OVER_MOUNT],
  }
}
