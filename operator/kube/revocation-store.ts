import { NO_REVOCATIONS, type RevocationList } from '../../relay/api/revocations.ts'
import { FIELD_MANAGER } from '../api/labels.ts'
import type { ClusterKey } from '../controller/contract.ts'
import { HttpError, notFound } from '../http/http-error.ts'
import type { RevocationStore } from '../http/revocation-routes.ts'
import { revocationsConfigMap, revocationsIn } from '../specs/revocations.ts'
import { applyFields } from './apply.ts'
import { isStatus, type KubeClient } from './client.ts'
import { type ConfigMapObject, isOwnedBy, type KubeObject, objectPath, splitKey } from './objects.ts'
import type { World } from './world.ts'

/** Callers that change one list at the same time. */
const ATTEMPTS_MAX = 10

/** Keeps revocations in a ConfigMap that the TurnCluster owns: it outlives the operator and reaches relays as a file. */
export class KubeRevocationStore implements RevocationStore {
  readonly #client: KubeClient
  readonly #world: World

  constructor(client: KubeClient, world: World) {
    this.#client = client
    this.#world = world
  }

  async update(key: ClusterKey, change: (list: RevocationList) => RevocationList): Promise<RevocationList> {
    const owner = this.#world.clusters.get(key)
    if (!owner) throw notFound(`there is no TurnCluster ${key}`)
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#updateOnce(key, owner, change)
      } catch (error) {
        // Somebody else was faster.
        if (!isStatus(error, 409) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  }

  async #updateOnce(
    key: ClusterKey,
    owner: KubeObject,
    change: (list: RevocationList) => RevocationList,
  ): Promise<RevocationList> {
    const { namespace, name } = splitKey(key)
    const { uid = '' } = owner.metadata
    const cluster = { metadata: { namespace, name, uid } }
    const empty = revocationsConfigMap(cluster, NO_REVOCATIONS)
    const stored = await this.#client.find<ConfigMapObject>(objectPath(empty))
    const old = stored ? listOf(stored, uid) : NO_REVOCATIONS
    const list = change(old)
    const wanted = revocationsConfigMap(cluster, list)
    const { resourceVersion, uid: storedUid } = stored?.metadata ?? {}
    const fields = {
      ...wanted,
      metadata: {
        ...wanted.metadata,
        ...(resourceVersion && { resourceVersion }),
        ...(storedUid && { uid: storedUid }),
      },
    }
    // Without force a first one that somebody has made since is a conflict, as an older version is.
    const written = await applyFields<ConfigMapObject>(this.#client, fields, {
      fieldManager: FIELD_MANAGER,
      force: stored !== undefined,
    })
    this.#world.configMaps.learn(written)
    return list
  }
}

function listOf(stored: ConfigMapObject, ownerUid: string): RevocationList {
  const name = `ConfigMap ${stored.metadata.namespace}/${stored.metadata.name}`
  if (!isOwnedBy(stored, ownerUid)) {
    const message = `${name} exists and belongs to somebody else: delete or rename it`
    throw new HttpError(409, 'foreign_object', message)
  }
  const list = revocationsIn(stored.data)
  if (list) return list
  throw new HttpError(409, 'malformed', `${name} was changed by hand and is malformed: mend or delete it`)
}
