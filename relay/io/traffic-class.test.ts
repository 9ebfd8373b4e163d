import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayedClass } from './traffic-class.ts'

const ALL = Array.from({ length: 256 }, (_, i) => i)

test('ECN goes on as it came, whatever becomes of the DSCP (RFC 8656 §14)', () => {
  for (const kept of [true, false])
    for (const arrived of ALL) assert.equal(relayedClass(arrived, kept) & 3, arrived & 3)
})

test('the DSCP goes on as it came, unless it is that of network control or is not to be kept', () => {
  for (const arrived of ALL) {
    const dscp = arrived >> 2
    assert.equal(relayedClass(arrived, true) >> 2, dscp < 48 ? dscp : 0)
    assert.equal(relayedClass(arrived, false) >> 2, 0)
  }
})
