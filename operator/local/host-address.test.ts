import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPublicAddress, thisMachine } from './host-address.ts'

test('public addresses are told from all others', () => {
  for (const address of ['8.8.8.8', '192.0.1.1', '100.63.0.1', '2a01:4f8::1', '2607:f8b0::1']) {
    assert.equal(isPublicAddress(address), true, address)
  }
  const others = [
    '10.1.2.3',
    '127.0.0.1',
    '100.64.0.1',
    '169.254.1.1',
    '172.31.0.1',
    '192.168.0.1',
    '224.0.0.1',
    '::1',
  ]
  for (const address of [...others, 'fe80::1', 'fd00::1', '2001:db8::1', '2002::1', 'name', '']) {
    assert.equal(isPublicAddress(address), false, address)
  }
})

test('addresses that the user names stand for all others', () => {
  const node = thisMachine(['203.0.113.10'])
  assert.deepEqual(node.annotatedAddresses, ['203.0.113.10'])
  assert.deepEqual(node.externalAddresses, [])
  assert.ok(thisMachine([]).annotatedAddresses.length + thisMachine([]).externalAddresses.length > 0)
})
