import assert from 'node:assert/strict'
import { test } from 'node:test'
import { durationSeconds, parseDuration } from './durations.ts'

test('durations of hours, minutes and seconds', () => {
  const cases = { '90s': 90, '10m': 600, '12h': 43_200, '1h30m': 5400, '1h0m5s': 3605, '0s': 0 }
  for (const [text, seconds] of Object.entries(cases)) assert.equal(parseDuration(text), seconds, text)
})

test('anything else is no duration', () => {
  for (const text of ['', '10', '10 m', '1d', '-1s', '1.5h', '30s10m', '9999999h', 's']) {
    assert.equal(parseDuration(text), undefined, text)
  }
  assert.throws(() => durationSeconds('soon'), /write it like 90s, 10m or 12h/)
})
