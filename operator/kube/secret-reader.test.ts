import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { VirtualClock } from '../../test/cluster/virtual-clock.ts'
import { KubeError } from './client.ts'
import type { SecretObject } from './objects.ts'
import { SecretReader } from './secret-reader.ts'

let clock: VirtualClock
let stored: SecretObject | undefined
let failure: Error | undefined
let asked: string[]
let changed: string[]
let reader: SecretReader

beforeEach(() => {
  clock = new VirtualClock()
  stored = secret(1)
  failure = undefined
  asked = []
  changed = []
  const client = {
    find: async <T>(path: string) => {
      asked.push(path)
      if (failure) throw failure
      return stored as T | undefined
    },
  }
  reader = new SecretReader(client, { onChange: (name) => changed.push(name), clock, random: () => 1 })
})

function secret(version: number): SecretObject {
  return { metadata: { name: 'keys', namespace: 'turn', uid: 'u', resourceVersion: String(version) } }
}

const read = () => reader.read('turn/public', 'turn', 'keys')

test('a Secret is asked for by name, once, and then remembered', async () => {
  assert.equal((await read())?.metadata.resourceVersion, '1')
  await read()
  assert.deepEqual(asked, ['/api/v1/namespaces/turn/secrets/keys'])
})

test('a change is noticed within half a minute, and told to each reader once', async () => {
  await read()
  await reader.read('turn/other', 'turn', 'keys')
  stored = secret(2)
  await clock.advance(30_000)
  assert.deepEqual(changed, ['turn/public', 'turn/other'])
  assert.equal((await read())?.metadata.resourceVersion, '2')
  await clock.advance(120_000)
  assert.equal(changed.length, 2)
})

test('a Secret that comes or goes is a change', async () => {
  stored = undefined
  assert.equal(await read(), undefined)
  stored = secret(1)
  await clock.advance(30_000)
  stored = undefined
  await clock.advance(30_000)
  assert.deepEqual(changed, ['turn/public', 'turn/public'])
  assert.equal(await read(), undefined)
})

test('a refresh looks at once', async () => {
  await read()
  stored = secret(2)
  await reader.refresh('turn/public')
  assert.deepEqual(changed, ['turn/public'])
})

test('where the API server fails the last content stays, and the questions become rare', async () => {
  await read()
  failure = new KubeError(500, 'InternalError', 'etcd')
  await clock.advance(3600_000)
  assert.equal((await read())?.metadata.resourceVersion, '1')
  assert.ok(asked.length < 20, `${asked.length} questions in an hour`)
  failure = undefined
  stored = secret(2)
  await clock.advance(300_000)
  assert.deepEqual(changed, ['turn/public'])
})

test('a first reading that fails is thrown', async () => {
  failure = new KubeError(403, 'Forbidden', 'secrets "keys" is forbidden')
  await assert.rejects(read(), /is forbidden/)
})

test('what nobody reads any more is not asked for', async () => {
  await read()
  reader.keepOnly('turn/public', 'turn', ['another'])
  await clock.advance(120_000)
  assert.equal(asked.length, 1)
})
