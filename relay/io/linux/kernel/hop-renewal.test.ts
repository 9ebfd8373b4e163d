import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { HopRenewal } from './hop-renewal.ts'

const ENTRIES = 20_000

function setUp() {
  const asked = new Set<number>()
  let changes = 0
  const renewal = new HopRenewal({
    count: () => ENTRIES,
    // Half of the places are free.
    renew: (index) => {
      if (index % 2 === 0) return false
      asked.add(index)
      return true
    },
    changed: () => changes-- > 0,
  })
  return {
    asked,
    renewal,
    change: () => {
      changes = 1
    },
  }
}

test('a hundred next hops are asked for again in each tick, others each time', () => {
  const { asked, renewal } = setUp()
  renewal.tick()
  assert.equal(asked.size, 100)
  renewal.tick()
  assert.equal(asked.size, 200)
  renewal.close()
})

test('after a change of routes all next hops of 10,000 allocations are asked for within four seconds', (t) => {
  t.after(() => mock.timers.reset())
  mock.timers.enable({ apis: ['setTimeout'] })
  const { asked, renewal, change } = setUp()
  change()
  renewal.tick()
  let steps = 0
  for (let before = 0; asked.size < ENTRIES / 2; before = asked.size, steps++) {
    mock.timers.tick(10)
    assert.ok(asked.size - before <= 150, 'no step takes long')
    assert.ok(steps < 400)
  }
  const done = asked.size
  asked.clear()
  mock.timers.tick(1000)
  assert.equal(asked.size, 0, `nothing more after ${done}`)
  renewal.close()
})
