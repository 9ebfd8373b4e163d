import { FIELD_MANAGER_STATUS } from '../api/labels.ts'
import { GROUP, KIND, type TurnClusterStatus, VERSION } from '../api/turn-cluster.ts'
import { applyFields } from './apply.ts'
import { isStatus, type KubeClient } from './client.ts'
import type { KubeObject } from './objects.ts'
import type { World } from './world.ts'

/** What names the TurnCluster whose status is written. */
interface Named {
  metadata: { name: string; namespace: string; uid: string }
}

/** Applies our fields of a status; a cluster that is gone by now needs none. */
export async function writeClusterStatus(
  { client, world }: { client: KubeClient; world: World },
  { metadata: { name, namespace, uid } }: Named,
  status: TurnClusterStatus,
): Promise<void> {
  const fields = { apiVersion: `${GROUP}/${VERSION}`, kind: KIND, metadata: { name, namespace, uid }, status }
  try {
    const options = { fieldManager: FIELD_MANAGER_STATUS, force: true, subresource: 'status' }
    world.clusters.learn(await applyFields<KubeObject>(client, fields, options))
  } catch (error) {
    if (!isStatus(error, 404)) throw error
  }
}
