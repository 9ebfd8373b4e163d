import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyFields,
  applyOwned,
  createOwned,
  deleteExactly,
  ForeignObjectError,
} from '../../operator/kube/apply.ts'
import { KubeError } from '../../operator/kube/client.ts'
import type { ConfigMapObject, KubeObject } from '../../operator/kube/objects.ts'
import { Api } from './api.ts'
import { type ControlPlane, startControlPlane } from './control-plane.ts'

let plane: ControlPlane
let api: Api
let owner: KubeObject

before(async () => {
  plane = await startControlPlane({ controllers: ['namespace-controller'] })
  api = await Api.of(plane.adminKubeconfig)
  owner = await api.create(configMap('owner', {}))
})

after(async () => {
  api?.client.close()
  await plane?.stop()
})

function configMap(name: string, data: Record<string, string>, ownerUid?: string): ConfigMapObject {
  const ownerReferences = ownerUid
    ? [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: ownerUid }]
    : []
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'default', ownerReferences },
    data,
  }
}

const uidOf = (object: KubeObject) => object.metadata.uid ?? ''
const find = (name: string) => api.find<ConfigMapObject>('v1', 'ConfigMap', 'default', name)

test('an object is created once; the second time the first one is answered', async () => {
  const wanted = configMap('once', { a: '1' }, uidOf(owner))
  const first = await createOwned(api.client, wanted, uidOf(owner))
  const second = await createOwned(api.client, wanted, uidOf(owner))
  assert.deepEqual([first.created, second.created], [true, false])
  assert.equal(uidOf(second.object), uidOf(first.object))
})

test('an object of somebody else is neither created over, nor applied over', async () => {
  const foreign = await api.create(configMap('foreign', { theirs: 'yes' }))
  const wanted = configMap('foreign', { ours: 'yes' }, uidOf(owner))
  for (const write of [createOwned, applyOwned])
    await assert.rejects(write(api.client, wanted, uidOf(owner)), (error) => {
      assert.ok(error instanceof ForeignObjectError)
      assert.match(error.message, /ConfigMap default\/foreign exists and belongs to somebody else/)
      return true
    })
  assert.equal((await find('foreign'))?.metadata.resourceVersion, foreign.metadata.resourceVersion)
})

test('applying puts our fields back and leaves those of others', async () => {
  await applyOwned(api.client, configMap('shared', { ours: 'right' }, uidOf(owner)), uidOf(owner))
  await api.merge(configMap('shared', {}), { data: { ours: 'wrong', theirs: 'kept' } })
  await applyOwned(api.client, configMap('shared', { ours: 'right' }, uidOf(owner)), uidOf(owner))
  assert.deepEqual((await find('shared'))?.data, { ours: 'right', theirs: 'kept' })
})

test('a field that we no longer set goes away', async () => {
  await applyOwned(api.client, configMap('shrinking', { a: '1', b: '2' }, uidOf(owner)), uidOf(owner))
  await applyOwned(api.client, configMap('shrinking', { a: '1' }, uidOf(owner)), uidOf(owner))
  assert.deepEqual((await find('shrinking'))?.data, { a: '1' })
})

test('a deletion with another uid leaves the successor alone', async () => {
  const first = await api.create(configMap('again', {}))
  await api.delete(configMap('again', {}))
  const successor = await api.create(configMap('again', {}))
  assert.equal(await deleteExactly(api.client, first, uidOf(first)), false)
  assert.equal(uidOf((await find('again'))!), uidOf(successor))
  assert.equal(await deleteExactly(api.client, successor, uidOf(successor)), true)
  assert.equal(await find('again'), undefined)
  assert.equal(await deleteExactly(api.client, successor, uidOf(successor)), false)
})

test('a write that names the uid of a predecessor is refused, and none creates an object', async () => {
  const first = await api.create(configMap('named', {}))
  await api.delete(configMap('named', {}))
  const options = { fieldManager: 'turnfleet', force: true }
  const fields = {
    ...configMap('named', { a: '1' }),
    metadata: { name: 'named', namespace: 'default', uid: uidOf(first) },
  }
  const isRefusal = (error: unknown) =>
    error instanceof KubeError && error.status >= 400 && error.status < 500
  await assert.rejects(applyFields(api.client, fields, options), isRefusal)
  assert.equal(await find('named'), undefined)
  await api.create(configMap('named', {}))
  await assert.rejects(applyFields(api.client, fields, options), isRefusal)
  await assert.rejects(
    api.merge(fields, { metadata: { uid: uidOf(first), annotations: { a: 'b' } } }),
    isRefusal,
  )
  assert.deepEqual((await find('named'))?.metadata.annotations, undefined)
})
