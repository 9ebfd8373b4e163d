import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CollectionPlan } from './collection-plan.ts'

test('the garbage of many allocations that ended is collected once', () => {
  const plan = new CollectionPlan()
  assert.ok(!plan.isDue(5_000, 20))
  assert.ok(!plan.isDue(4_900, 20))
  assert.ok(plan.isDue(1_000, 20))
  assert.ok(!plan.isDue(1_000, 20))
  assert.ok(plan.isDue(0, 20))
})

test('nothing is collected while packets are relayed', () => {
  const plan = new CollectionPlan()
  assert.ok(!plan.isDue(5_000, 50_000))
  assert.ok(!plan.isDue(10, 100_000))
  assert.ok(!plan.isDue(10, 100_100))
  assert.ok(plan.isDue(10, 100_110))
})
