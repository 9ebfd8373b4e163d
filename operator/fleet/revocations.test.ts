import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_REVOCATIONS, REVOCATIONS_MAX, type Revocation } from '../../relay/api/revocations.ts'
import { current, withoutRevocation, withRevocation } from './revocations.ts'

const NOW_MS = Date.parse('2026-11-22T12:00:00Z')
const LATER = '2026-11-23T00:00:00Z'
const entry = (id: string, more: Partial<Revocation> = {}): Revocation => ({
  id,
  user: id,
  until: LATER,
  ...more,
})

test('whom an entry names already is named once, with the newest end and the first id', () => {
  const first = withRevocation(NO_REVOCATIONS, entry('a', { user: 'alice' }), NOW_MS)!
  const again = { id: 'b', user: 'alice', until: '2026-11-24T00:00:00Z' }
  const second = withRevocation(first.list, again, NOW_MS)!
  assert.deepEqual(second.list.entries, [{ ...again, id: 'a' }])
  assert.equal(second.revocation.id, 'a')
  assert.ok(second.list.generation > first.list.generation)
})

test('generations grow with the clock, so that a list which was lost is followed by a newer one', () => {
  const before = withRevocation(NO_REVOCATIONS, entry('a'), NOW_MS)!.list
  const after = withRevocation(NO_REVOCATIONS, entry('b'), NOW_MS + 1000)!.list
  assert.ok(after.generation > before.generation)
  const clockSetBack = withRevocation(after, entry('c'), 0)!.list
  assert.ok(clockSetBack.generation > after.generation)
})

test('a list is bounded; entries that have ended make room', () => {
  const entries = Array.from({ length: REVOCATIONS_MAX }, (_, i) => entry(`u${i}`))
  const full = { generation: 1, entries }
  assert.equal(withRevocation(full, entry('one-more'), NOW_MS), undefined)
  assert.ok(withRevocation(full, entry('u7'), NOW_MS), 'one that is there can be prolonged')
  const change = withRevocation(full, entry('one-more', { until: '2026-11-25T00:00:00Z' }), Date.parse(LATER))
  assert.deepEqual(
    change?.list.entries.map(({ id }) => id),
    ['one-more'],
  )
})

test('an entry is taken out by its id', () => {
  const { list } = withRevocation(NO_REVOCATIONS, entry('a'), NOW_MS)!
  assert.equal(withoutRevocation(list, 'b', NOW_MS), undefined)
  assert.deepEqual(withoutRevocation(list, 'a', NOW_MS)?.entries, [])
  assert.deepEqual(current(list, Date.parse(LATER)), [])
})
