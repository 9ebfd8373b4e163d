import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../test/support/turn-harness.ts'

const ALLOCATIONS = 300
/** What one call may end: some hundred system calls, well below the time of a voice packet. */
const AT_ONCE_MAX = 64

test('allocations that expire together end a few at a time, so that packets come in between', () => {
  const harness = new TurnHarness({ limits: { allocationsPerUser: ALLOCATIONS } })
  for (let i = 0; i < ALLOCATIONS; i++) harness.client(`198.51.100.7:${1024 + i}`).allocate()
  const { server } = harness
  harness.now += 700_000
  let calls = 0
  while (server.allocationCount > 0) {
    const before = server.allocationCount
    assert.ok(server.pollTimeout() <= harness.now, 'the rest is due at once')
    server.handleTimeout(harness.now)
    harness.drain()
    const ended = before - server.allocationCount
    assert.ok(ended > 0 && ended <= AT_ONCE_MAX)
    calls++
  }
  assert.equal(calls, Math.ceil(ALLOCATIONS / AT_ONCE_MAX))
  assert.deepEqual([server.pollTimeout(), harness.bound.size], [Number.POSITIVE_INFINITY, 0])
})
