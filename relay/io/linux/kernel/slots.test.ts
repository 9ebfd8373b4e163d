import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REST_MS, Slots } from './slots.ts'

test('a slot that was given back rests before it is handed out again', () => {
  const slots = new Slots(2)
  assert.deepEqual([slots.take(0), slots.take(0), slots.take(0)], [0, 1, -1])
  slots.give(1, 1000)
  slots.give(0, 1500)
  assert.equal(slots.take(1000 + REST_MS - 1), -1)
  assert.equal(slots.take(1000 + REST_MS), 1)
  assert.equal(slots.take(1000 + REST_MS), -1)
  assert.equal(slots.take(1500 + REST_MS), 0)
})

test('a slot that was not used after all is free at once', () => {
  const slots = new Slots(2)
  slots.take(0)
  slots.putBack(slots.take(0))
  assert.equal(slots.take(0), 1)
})
