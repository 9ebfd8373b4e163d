import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Quota } from './quota.ts'

test('a burst passes, then the rate of a minute', () => {
  const quota = new Quota()
  let passed = 0
  for (let i = 0; i < 100; i++) if (quota.take('a', 60, 0) === 0) passed++
  assert.equal(passed, 15)
  assert.equal(quota.take('a', 60, 0), 1)
  assert.equal(quota.take('b', 60, 0), 0, 'others are not affected')
  if (quota.take('a', 60, 1001) === 0) passed++
  for (let second = 2; second < 62; second++) if (quota.take('a', 60, second * 1000) === 0) passed++
  assert.equal(passed, 75)
})

test('memory is bounded and a clock that goes back grants nothing', () => {
  const quota = new Quota()
  for (let i = 0; i < 30_000; i++) quota.take(`name-${i}`, 60, 0)
  assert.equal(quota.size, 10_000)
  for (let i = 0; i < 15; i++) quota.take('x', 60, 10_000)
  assert.notEqual(quota.take('x', 60, 5000), 0)
})
