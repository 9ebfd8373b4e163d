import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApiKey, findApiKey, parseApiKeys } from './api-keys.ts'

test('a key is found by its hash; the entry does not hold the key', () => {
  const one = createApiKey({ id: 'one' })
  const two = createApiKey({ id: 'two', clusters: ['turn/public'] })
  const stored = parseApiKeys(JSON.stringify([one.entry, two.entry]))
  assert.equal(findApiKey(stored, two.key)?.id, 'two')
  assert.equal(findApiKey(stored, one.key)?.perMinute, 600)
  assert.equal(findApiKey(stored, `${one.key}x`), undefined)
  assert.equal(findApiKey(stored, ''), undefined)
  assert.ok(!JSON.stringify(stored).includes(one.key))
})

test('a malformed list is refused with the field', () => {
  const { entry } = createApiKey({ id: 'one' })
  assert.throws(
    () => parseApiKeys(JSON.stringify([{ ...entry, hash: 'plain' }])),
    /0\.hash: must be the SHA-256/,
  )
  assert.throws(
    () => parseApiKeys(JSON.stringify([{ ...entry, origins: ['*'] }])),
    /0\.origins\.0: must be an origin/,
  )
  assert.throws(() => parseApiKeys(JSON.stringify([{ ...entry, orgins: [] }])), /orgins/)
  assert.deepEqual(parseApiKeys(''), [])
})
