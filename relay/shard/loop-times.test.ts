import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LOOP_TIME_BOUNDS_MS, newLoopTimes, observeTurn } from './loop-times.ts'

test('a turn counts in the first bucket that it fits in, and one that is too long for all in the last', () => {
  const times = newLoopTimes()
  for (const ms of [0, 0.05, 0.06, 1, 1.01, 5_000]) observeTurn(times, ms)
  const counted = [...LOOP_TIME_BOUNDS_MS, Number.POSITIVE_INFINITY].flatMap((bound, bucket) =>
    times.buckets[bucket]! > 0 ? [[bound, times.buckets[bucket]]] : [],
  )
  assert.deepEqual(counted, [
    [0.05, 2],
    [0.1, 1],
    [1, 1],
    [2, 1],
    [Number.POSITIVE_INFINITY, 1],
  ])
  assert.equal(times.sumMs.toFixed(2), '5002.12')
})
