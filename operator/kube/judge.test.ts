import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { type KeyPair, TestAuthority } from '../../test/cluster/pki.ts'
import { KubeError } from './client.ts'
import { judgeKeyRing, judgeReadError, judgeTls } from './judge.ts'

let pair: KeyPair
let other: KeyPair

before(async () => {
  const authority = await TestAuthority.make()
  pair = await authority.issue({ commonName: 'x', names: [{ type: 'dns', value: 'turn.example.org' }] })
  other = await authority.issue({ commonName: 'other.example.org' })
})

function secret(entries: Record<string, string>) {
  const data = Object.fromEntries(
    Object.entries(entries).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  )
  return { metadata: { name: 's' }, data }
}

function messageOf(judged: { state: string; message?: string }): string {
  assert.equal(judged.state, 'malformed')
  return judged.message ?? ''
}

test('a certificate with its key is valid, and its names are known', () => {
  const judged = judgeTls(secret({ 'tls.crt': pair.cert, 'tls.key': pair.key }))
  assert.ok(judged.state === 'valid')
  assert.deepEqual(judged.value.names, ['turn.example.org'])
  assert.match(judged.value.fingerprint, /^[0-9a-f]{64}$/)
  const withoutNames = judgeTls(secret({ 'tls.crt': other.cert, 'tls.key': other.key }))
  assert.deepEqual(withoutNames.state === 'valid' && withoutNames.value.names, ['other.example.org'])
})

test('a bad pair is malformed with what is wrong about it', () => {
  assert.equal(judgeTls(undefined).state, 'absent')
  assert.match(messageOf(judgeTls(secret({}))), /no entry tls\.crt/)
  assert.match(messageOf(judgeTls(secret({ 'tls.crt': pair.cert }))), /no entry tls\.key/)
  assert.match(messageOf(judgeTls(secret({ 'tls.crt': 'x', 'tls.key': pair.key }))), /not a PEM certificate/)
  assert.match(
    messageOf(judgeTls(secret({ 'tls.crt': pair.cert, 'tls.key': pair.key.slice(0, 40) }))),
    /private key/,
  )
  assert.match(messageOf(judgeTls(secret({ 'tls.crt': pair.cert, 'tls.key': other.key }))), /does not belong/)
})

test('a key ring is read; a malformed one is named by its field and never quoted', () => {
  const ring = { keys: [{ id: 'k1', secret: 'hunter2' }], nonceKeys: [{ id: 'n1', secret: 's' }] }
  const judged = judgeKeyRing(secret({ 'keys.yaml': JSON.stringify(ring) }))
  assert.deepEqual(judged.state === 'valid' && judged.value, ring)
  assert.equal(judgeKeyRing(undefined).state, 'absent')
  assert.match(messageOf(judgeKeyRing(secret({ other: 'x' }))), /no entry keys\.yaml/)
  for (const text of [
    'hunter2: [',
    'keys: hunter2',
    '{"keys":[{"id":"","secret":"hunter2"}],"nonceKeys":[]}',
  ]) {
    const message = messageOf(judgeKeyRing(secret({ 'keys.yaml': text })))
    assert.match(message, /keys\.yaml/)
    assert.doesNotMatch(message, /hunter2/)
  }
})

test('a Secret that may not be read is malformed with the verb that is missing; other faults are thrown', () => {
  const forbidden = new KubeError(
    403,
    'Forbidden',
    'secrets "s" is forbidden: User "u" cannot get resource "secrets"',
  )
  assert.match(messageOf(judgeReadError(forbidden)), /cannot get resource "secrets"/)
  assert.throws(() => judgeReadError(new KubeError(500, 'InternalError', 'etcd')), /etcd/)
})
