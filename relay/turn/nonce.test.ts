import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { address, EPOCH_SECONDS } from '../../test/support/turn-harness.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { FEATURE, nonceCookie } from '../stun/nonce-cookie.ts'
import { NonceMint } from './nonce.ts'

const key = (text: string) => new TextEncoder().encode(text)
const mint = (...keys: string[]) => new NonceMint(nodeCrypto, keys.map(key), 3600)
const issued = (...[by, ...rest]: [NonceMint, ...Parameters<NonceMint['issue']>]) =>
  new TextDecoder().decode(by.issue(...rest))
const CLIENT = address('198.51.100.7:4000')
const NOW = EPOCH_SECONDS

test('RFC 8489 §9.2.4: a nonce verifies on every relay that shares the key', () => {
  assert.ok(mint('a').verify(issued(mint('a'), CLIENT, NOW), CLIENT, NOW + 1))
})

test('keys rotate: the first signs, all verify', () => {
  const old = issued(mint('old'), CLIENT, NOW)
  assert.ok(mint('new', 'old').verify(old, CLIENT, NOW))
  assert.ok(mint('old', 'new').verify(issued(mint('new', 'old'), CLIENT, NOW), CLIENT, NOW))
  assert.ok(!mint('new').verify(old, CLIENT, NOW))
})

for (const [features, macBytes, characters] of [
  [0, 8, 16],
  [FEATURE.PasswordAlgorithms, 10, 19],
] as const) {
  test(`a nonce is the base64 of a time and a MAC, as relays of other versions read it: ${features}`, () => {
    const by = mint('a')
    const nonces = [NOW, NOW + 1].map((now) => issued(by, CLIENT, now, features))
    for (const [i, nonce] of nonces.entries()) {
      const cookie = features === 0 ? '' : nonceCookie(features)
      const signed = Buffer.alloc(23)
      signed.writeUInt32BE(NOW + i, 0)
      signed.set([4 | (features << 4)], 4)
      signed.set([198, 51, 100, 7], 17)
      signed.writeUInt16BE(4000, 21)
      const mac = createHmac('sha256', 'a').update(signed).digest()
      const bytes = Buffer.concat([signed.subarray(0, 4), mac.subarray(0, macBytes)])
      assert.equal(nonce, cookie + bytes.toString('base64').slice(0, characters))
      assert.ok(mint('a').verify(nonce, CLIENT, NOW + i))
    }
  })
}

const REFUSED: readonly [name: string, nonce: (nonce: string) => string, client: string, later: number][] = [
  ['another address', (n) => n, '198.51.100.8:4000', 0],
  ['another port', (n) => n, '198.51.100.7:4001', 0],
  ['too old', (n) => n, '198.51.100.7:4000', 3601],
  ['from the future', (n) => n, '198.51.100.7:4000', -61],
  ['a changed character', (n) => `${n.startsWith('A') ? 'B' : 'A'}${n.slice(1)}`, '198.51.100.7:4000', 0],
  ['cut short', (n) => n.slice(0, 12), '198.51.100.7:4000', 0],
  ['not base64', () => '!'.repeat(16), '198.51.100.7:4000', 0],
  ['empty', () => '', '198.51.100.7:4000', 0],
  ['long', () => 'A'.repeat(763), '198.51.100.7:4000', 0],
]
for (const [name, change, client, later] of REFUSED) {
  test(`a nonce is refused: ${name}`, () => {
    const nonce = change(issued(mint('a'), CLIENT, NOW))
    assert.ok(!mint('a').verify(nonce, address(client), NOW + later))
  })
}

test('clients at different ports get different nonces (RFC 8489 §9.2.4)', () => {
  assert.notEqual(issued(mint('a'), CLIENT, NOW), issued(mint('a'), address('198.51.100.7:4001'), NOW))
})
