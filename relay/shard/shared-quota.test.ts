import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { LocalQuota, type QuotaHolder, type Source } from '../turn/quota.ts'
import { quotaMemory, SharedQuota } from './shared-quota.ts'

const LIMITS = { allocations: 12, allocationsPerUser: 4, allocationsPerAddress: 6 }

/** A holder of a user and a source, whose tenant, if it has one, may have three. */
function holder(user: string, source: Source, tenant?: string, allocationsOfUser = 100): QuotaHolder {
  const groups =
    tenant === undefined ? [] : [{ name: tenant, allocations: 3, refusal: 'tenant-quota' as const }]
  return { user, source, allocationsOfUser, groups }
}

test('shards together grant and give back what one machine alone would', () => {
  const step = fc.record({
    shard: fc.integer({ min: 0, max: 2 }),
    acquire: fc.boolean(),
    user: fc.constantFrom('ann', 'bob', 'cas', 'dee', 'eve', 'fay', 'gil'),
    source: fc.constantFrom<Source>(1, 2, 3, '1:2', '3:4'),
    tenant: fc.constantFrom(undefined, 'acme', 'globex'),
    allocationsOfUser: fc.constantFrom(1, 100),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer(), (steps, seed) => {
      const memory = quotaMemory(LIMITS.allocations, seed)
      const shards = [1, 2, 3].map((shard) => new SharedQuota(memory, shard))
      const model = new LocalQuota()
      const held: { shard: number; one: QuotaHolder }[] = []
      for (const { shard, acquire, user, source, tenant, allocationsOfUser } of steps) {
        if (acquire) {
          const one = holder(user, source, tenant, allocationsOfUser)
          const refusal = model.acquire(one, LIMITS)
          assert.equal(shards[shard]!.acquire(one, LIMITS), refusal)
          if (!refusal) held.push({ shard, one })
        } else {
          const first = held.shift()
          if (!first) continue
          model.release(first.one)
          shards[first.shard]!.release(first.one)
        }
        assert.equal(shards[shard]!.total, model.total)
      }
    }),
    { numRuns: 200 },
  )
})

test('what a shard held is free again when it has died, even in the middle of a change', () => {
  const memory = quotaMemory(100, 7)
  const dead = new SharedQuota(memory, 1)
  const alive = new SharedQuota(memory, 2)
  const limits = { allocations: 100, allocationsPerUser: 100, allocationsPerAddress: 0 }
  for (let i = 0; i < 40; i++) assert.equal(dead.acquire(holder(`user ${i % 7}`, i), limits), undefined)
  for (let i = 0; i < 5; i++) assert.equal(alive.acquire(holder('user 1', 3), limits), undefined)
  new Int32Array(memory)[0] = 1
  alive.releaseAllOf(1)
  assert.equal(alive.total, 5)
  for (let i = 0; i < 5; i++) alive.release(holder('user 1', 3))
  assert.equal(alive.total, 0)
  assert.ok(new Int32Array(memory).subarray(16).every((word, at) => at % 4 !== 2 || word === 0))
})

test('threads that change it at once lose nothing', async () => {
  const memory = quotaMemory(10_000, 3)
  const code = `
    import { workerData } from 'node:worker_threads'
    const { SharedQuota } = await import(workerData.module)
    const quota = new SharedQuota(workerData.memory, workerData.shard)
    const limits = { allocations: 10_000, allocationsPerUser: 10_000, allocationsPerAddress: 0 }
    for (let i = 0; i < 4000; i++) {
      const holder = { user: 'user ' + (i % 50), source: i % 20, allocationsOfUser: 10_000, groups: [] }
      quota.acquire(holder, limits)
      if (i % 4 !== 0) quota.release(holder)
    }
  `
  const module = new URL('./shared-quota.ts', import.meta.url).href
  const threads = [1, 2].map(
    (shard) =>
      new Promise((resolve, reject) => {
        const url = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
        const worker = new Worker(url, { workerData: { memory, shard, module } })
        worker.once('error', reject)
        worker.once('exit', resolve)
      }),
  )
  await Promise.all(threads)
  assert.equal(new SharedQuota(memory, 3).total, 2000)
})
