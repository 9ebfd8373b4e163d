import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSelfSigned, judgeCertificate, needsRenewal, selfSignedCertificate } from './certificate.ts'

const DAY_MS = 86_400_000

test('a certificate of our own names what it was made for and is renewed in time', async () => {
  const nowMs = Date.now()
  const pair = await selfSignedCertificate(['turn.example.org', '203.0.113.10', '2001:db8::1'], nowMs)
  const judged = judgeCertificate(pair)
  assert.ok(judged.state === 'valid')
  assert.deepEqual(judged.value.names, ['turn.example.org', '203.0.113.10', '2001:db8::1'])
  assert.ok(isSelfSigned(pair.cert))
  assert.equal(needsRenewal(pair.cert, ['203.0.113.10', '2001:db8::1'], nowMs), false)
  assert.equal(needsRenewal(pair.cert, ['203.0.113.11'], nowMs), true, 'the address has changed')
  assert.equal(needsRenewal(pair.cert, ['203.0.113.10'], nowMs + 370 * DAY_MS), true, 'it ends soon')
})

test('a bad pair is told apart from none', async () => {
  const [one, other] = await Promise.all([selfSignedCertificate(['a'], 0), selfSignedCertificate(['a'], 0)])
  assert.equal(judgeCertificate({}).state, 'absent')
  const mixed = judgeCertificate({ cert: one.cert, key: other.key })
  assert.ok(mixed.state === 'malformed' && /not the key/.test(mixed.message))
  const torn = judgeCertificate({ cert: one.cert.slice(0, 100), key: one.key })
  assert.ok(torn.state === 'malformed' && /tls\.crt/.test(torn.message))
  const keyless = judgeCertificate({ cert: one.cert })
  assert.ok(keyless.state === 'malformed' && /tls\.key/.test(keyless.message))
})
