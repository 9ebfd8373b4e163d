import assert from 'node:assert/strict'
import { test } from 'node:test'
import { transition } from './conditions.ts'

const T1 = Date.UTC(2026, 0, 1, 0, 0, 0, 123)
const T2 = T1 + 60_000

test('the transition time moves with the status only', () => {
  const first = transition(undefined, 'Ready', { status: 'False', reason: 'A', message: 'a' }, 1, T1)
  assert.equal(first.lastTransitionTime, '2026-01-01T00:00:00Z')
  const same = transition([first], 'Ready', { status: 'False', reason: 'B', message: 'b' }, 2, T2)
  assert.equal(same.lastTransitionTime, first.lastTransitionTime)
  assert.equal(same.reason, 'B')
  assert.equal(same.observedGeneration, 2)
  const changed = transition([same], 'Ready', { status: 'True', reason: 'C', message: 'c' }, 2, T2)
  assert.equal(changed.lastTransitionTime, '2026-01-01T00:01:00Z')
})
