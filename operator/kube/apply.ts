import { FIELD_MANAGER } from '../api/labels.ts'
import { isStatus, type KubeClient } from './client.ts'
import { collectionPath, isOwnedBy, type KubeObject, objectPath } from './objects.ts'

/** An object has a name that we need and belongs to somebody else. */
export class ForeignObjectError extends Error {
  override name = 'ForeignObjectError'
  readonly objectName: string

  constructor({ kind, metadata }: KubeObject) {
    super(
      `${kind} ${metadata.namespace}/${metadata.name} exists and belongs to somebody else: ` +
        'it is left alone; delete or rename it so that turnfleet can use the name',
    )
    this.objectName = metadata.name
  }
}

/**
 * Creates an object whose name is deterministic. Where one of that name exists, it is answered if `ownerUid`
 * owns it, and a ForeignObjectError is thrown otherwise: nothing is ever overwritten.
 */
export async function createOwned<T extends KubeObject>(
  client: KubeClient,
  object: T,
  ownerUid: string,
): Promise<{ object: KubeObject; created: boolean }> {
  const { apiVersion = '', kind = '', metadata } = object
  const path = collectionPath(apiVersion, kind, metadata.namespace)
  try {
    const query = { fieldManager: FIELD_MANAGER }
    return {
      object: await client.request<KubeObject>({ method: 'POST', path, query, body: object }),
      created: true,
    }
  } catch (error) {
    if (!isStatus(error, 409)) throw error
    const existing = await client.find<KubeObject>(objectPath(object))
    if (!existing) throw error
    if (!isOwnedBy(existing, ownerUid)) throw new ForeignObjectError(object)
    return { object: existing, created: false }
  }
}

/**
 * Server-side apply of our own fields. `uid` makes it an update of exactly that object: it neither creates one
 * nor touches a successor of the same name.
 */
export async function applyFields<T extends KubeObject>(
  client: KubeClient,
  fields: KubeObject & object,
  options: { fieldManager: string; force: boolean; subresource?: string },
): Promise<T> {
  const { fieldManager, force, subresource } = options
  return client.request<T>({
    method: 'PATCH',
    path: objectPath(fields) + (subresource ? `/${subresource}` : ''),
    query: { fieldManager, force },
    body: fields,
    contentType: 'application/apply-patch+yaml',
  })
}

/**
 * Writes an object that is ours whole: creates it, or applies it over the one that `ownerUid` owns. One of the
 * same name that belongs to somebody else is left alone.
 */
export async function applyOwned<T extends KubeObject>(
  client: KubeClient,
  object: T,
  ownerUid: string,
): Promise<KubeObject> {
  const existing = await client.find<KubeObject>(objectPath(object))
  if (existing && !isOwnedBy(existing, ownerUid)) throw new ForeignObjectError(object)
  const uid = existing?.metadata.uid
  const fields = { ...object, metadata: { ...object.metadata, ...(uid === undefined ? {} : { uid }) } }
  // Without force one that somebody has made since is a conflict, and is looked at again.
  return applyFields(client, fields, { fieldManager: FIELD_MANAGER, force: existing !== undefined })
}

/** Deletes exactly the object with that uid; true where it had to be deleted, false where it is gone already. */
export async function deleteExactly(
  client: KubeClient,
  object: KubeObject,
  uid: string,
  gracePeriodSeconds?: number,
): Promise<boolean> {
  const grace = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid }, ...grace }
  try {
    await client.request({ method: 'DELETE', path: objectPath(object), body })
    return true
  } catch (error) {
    // 409: the name is another object's by now.
    if (isStatus(error, 404, 409)) return false
    throw error
  }
}
