import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeCrypto } from './node-crypto.ts'

test('HMACs are those of OpenSSL, for any key and data', () => {
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.uint8Array({ minLength: 4090, maxLength: 4100 }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), data, (key, bytes) => {
      const sha1 = new Uint8Array(createHmac('sha1', key).update(bytes).digest())
      const sha256 = new Uint8Array(createHmac('sha256', key).update(bytes).digest())
      assert.deepEqual(nodeCrypto.hmacSha1(key, bytes), sha1)
      assert.deepEqual(nodeCrypto.hmacSha256(key, bytes), sha256)
    }),
  )
})

test('bytes of different length are not equal', () => {
  assert.equal(nodeCrypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1)), false)
  assert.equal(nodeCrypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false)
  assert.equal(nodeCrypto.equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true)
})

test('random bytes are never handed out twice, however many are asked for at once', () => {
  const seen = new Set<string>()
  const lengths = Array.from({ length: 2000 }, (_, i) => [8, 12, 32, 1500][i % 4]!).concat(4096, 4097)
  for (const length of lengths) {
    const bytes = nodeCrypto.randomBytes(length)
    assert.equal(bytes.length, length)
    seen.add(Buffer.from(bytes.subarray(0, 8)).toString('hex'))
  }
  assert.equal(seen.size, lengths.length)
})
