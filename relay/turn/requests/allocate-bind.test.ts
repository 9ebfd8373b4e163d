import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../../test/support/turn-harness.ts'

test('a port that another program has is replaced by another one', () => {
  const harness = new TurnHarness()
  const tried = new Set<number>()
  harness.onBind = (bind) => {
    tried.add(bind.port)
    return tried.size < 5 ? 'port-in-use' : undefined
  }
  assert.equal(harness.client().allocate()?.code, 0)
  assert.equal(tried.size, 5)
})

const BIND_FAILURES: readonly [failure: 'port-in-use' | 'unavailable', binds: number][] = [
  ['port-in-use', 8],
  ['unavailable', 1],
]
for (const [failure, binds] of BIND_FAILURES) {
  test(`a bind that keeps failing (${failure}) is answered 508 after ${binds}, and holds nothing`, () => {
    const harness = new TurnHarness({ limits: { allocations: 1 } })
    harness.onBind = () => failure
    const client = harness.client()
    assert.equal(client.allocate()?.code, 508)
    assert.equal(harness.kinds().filter((kind) => kind === 'bind-relay').length, binds)
    assert.equal(harness.server.allocationCount, 0)
    harness.onBind = () => undefined
    assert.equal(client.allocate()?.code, 0)
  })
}

test('a bind that is never answered becomes a 508 and is given back', () => {
  const harness = new TurnHarness()
  harness.onBind = () => 'pending'
  harness.client().allocate()
  harness.pass(11)
  assert.equal(harness.heard.at(-1)?.code, 508)
  assert.equal(harness.server.allocationCount, 0)
  assert.deepEqual(harness.kinds(), ['bind-relay', 'refused', 'close-relay'])
})
