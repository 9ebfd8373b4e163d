import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allowedCores, defaultWorkers, ownMeans, quotaOf } from './default-workers.ts'

const MIB = 2 ** 20
const NO_LIMIT = Number.POSITIVE_INFINITY

test('one event loop for each core that a process may run on', () => {
  assert.equal(allowedCores('Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,8,10-11\nMems'), 7)
  assert.equal(allowedCores('Cpus_allowed_list:\t5\n'), 1)
  assert.equal(allowedCores('nothing of the kind'), undefined)
  assert.equal(defaultWorkers({ cores: 7, memoryBytes: NO_LIMIT }), 7)
})

test('a container that may use less processor time has fewer', () => {
  assert.deepEqual([quotaOf('150000 100000\n'), quotaOf('max 100000\n')], [1.5, undefined])
  assert.equal(defaultWorkers({ cores: 8, quota: 1.5, memoryBytes: NO_LIMIT }), 2)
  assert.equal(defaultWorkers({ cores: 8, quota: 0.1, memoryBytes: NO_LIMIT }), 1)
  assert.equal(defaultWorkers({ cores: 8, quota: 64, memoryBytes: NO_LIMIT }), 8)
})

test('a container with a memory limit has no more of them than fit', () => {
  assert.equal(defaultWorkers({ cores: 64, memoryBytes: 512 * MIB }), 6)
  assert.equal(defaultWorkers({ cores: 64, memoryBytes: 64 * MIB }), 1)
})

test('this process has a core at least', () => {
  assert.ok(ownMeans().cores >= 1)
  assert.ok(defaultWorkers(ownMeans()) >= 1)
})
