import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Client,
  EPOCH_SECONDS,
  OTHER_USER,
  REALM,
  type RequestOptions,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { longTermKey } from '../stun/integrity.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunWriter } from '../stun/writer.ts'
import { turnServerConfig } from './server-config.ts'

const UDP = (writer: StunWriter) => writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)

/** A TURN REST credential as its issuer makes it. */
function rest(secret: string, username: string) {
  const mac = nodeCrypto.hmacSha1(new TextEncoder().encode(secret), new TextEncoder().encode(username))
  return { username, password: Buffer.from(mac).toString('base64') }
}

/** The same with HMAC-SHA256. */
function restSha256(secret: string, username: string) {
  const mac = nodeCrypto.hmacSha256(new TextEncoder().encode(secret), new TextEncoder().encode(username))
  return { username, password: Buffer.from(mac).toString('base64') }
}

function withKeys(...secrets: string[]): Partial<RelayConfigInput> {
  return {
    credentials: { keys: secrets.map((secret, i) => ({ id: `k${i}`, secret })), users: [USER, OTHER_USER] },
  }
}

function challenged(input: Partial<RelayConfigInput> = {}): Client {
  const client = new TurnHarness(input).client()
  client.nonce = client.ask(METHOD.Allocate)?.nonce
  return client
}

function allocateAs(client: Client, user: RequestOptions['user']) {
  return client.ask(METHOD.Allocate, { user, nonce: client.nonce, attributes: UDP })
}

test('RFC 8489 §9.2.4: a request without integrity is answered 401 with REALM and NONCE, and nothing is kept', () => {
  const harness = new TurnHarness()
  const answer = harness.client().ask(METHOD.Allocate)
  assert.equal(answer?.code, 401)
  assert.equal(answer.realm, REALM)
  assert.equal(answer.authentic, false)
  assert.ok(answer.nonce && answer.nonce.length > 0)
  assert.equal(harness.server.allocationCount, 0)
  assert.deepEqual(harness.events, [])
})

const INCOMPLETE = [ATTRIBUTE.Username, ATTRIBUTE.Realm, ATTRIBUTE.Nonce]
for (const missing of INCOMPLETE) {
  test(`RFC 8489 §9.2.4: integrity without attribute 0x${missing.toString(16)} is answered 400, without REALM and NONCE`, () => {
    const client = challenged()
    const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, new Uint8Array(12))
    const values = {
      [ATTRIBUTE.Username]: USER.username,
      [ATTRIBUTE.Realm]: REALM,
      [ATTRIBUTE.Nonce]: client.nonce!,
    }
    for (const type of INCOMPLETE) if (type !== missing) writer.addText(type, values[type]!)
    const integrityKey = longTermKey(nodeCrypto, USER.username, REALM, USER.password)
    client.harness.fromClient(client.from, writer.finish({ integrityKey, crypto: nodeCrypto }))
    const [answer] = client.harness.drain()
    assert.deepEqual([answer?.code, answer?.realm, answer?.nonce], [400, undefined, undefined])
  })
}

const HOUR = EPOCH_SECONDS + 3600
const LOGINS: readonly [name: string, user: RequestOptions['user'], code: number][] = [
  ['a static user', USER, 0],
  ['a wrong password', { ...USER, password: 'x' }, 401],
  ['an empty password', { ...USER, password: '' }, 401],
  ['an unknown user', { username: 'mallory', password: 'x' }, 401],
  ['a REST username signed by the first key', rest('new', `${HOUR}:carol`), 0],
  ['a REST username signed by the last key', rest('old', `${HOUR}:carol`), 0],
  ['a REST username signed with HMAC-SHA256 by the first key', restSha256('new', `${HOUR}:carol`), 0],
  ['a REST username signed with HMAC-SHA256 by the last key', restSha256('old', `${HOUR}:carol`), 0],
  ['a REST username signed with HMAC-SHA256 by no listed key', restSha256('gone', `${HOUR}:carol`), 401],
  ['an expired REST username of HMAC-SHA256', restSha256('new', `${EPOCH_SECONDS - 1}:carol`), 401],
  ['a REST username without a name', rest('new', `${HOUR}`), 0],
  ['a REST username signed by a key that is not listed', rest('gone', `${HOUR}:carol`), 401],
  ['an expired REST username', rest('new', `${EPOCH_SECONDS - 1}:carol`), 401],
  ['a negative expiry', rest('new', '-1:carol'), 401],
  ['an expiry of 2^63', rest('new', '9223372036854775808:carol'), 401],
  ['no expiry', rest('new', ':carol'), 401],
  ['only a colon', rest('new', ':'), 401],
  ['an expiry in hex', rest('new', '0x7fffffff:carol'), 401],
  ['a username of 508 bytes', rest('new', `${HOUR}:${'x'.repeat(497)}`), 0],
]
for (const [name, user, code] of LOGINS) {
  test(`Allocate as ${name}: ${code || 'success'}`, () => {
    const client = challenged(withKeys('new', 'old'))
    const answer = allocateAs(client, user)
    assert.equal(answer?.code, code)
    if (code === 401) assert.ok(answer?.nonce && !answer.authentic)
  })
}

test('a username of 509 bytes is malformed (RFC 8489 §14.3)', () => {
  assert.equal(allocateAs(challenged(withKeys('new')), rest('new', `${HOUR}:${'x'.repeat(498)}`))?.code, 400)
})

test('unknown users, wrong passwords and expired credentials look the same but for the nonce', () => {
  const answers = [
    { ...USER, password: 'x' },
    { username: 'mallory', password: 'x' },
    rest('new', `${EPOCH_SECONDS - 1}:carol`),
  ].map((user) => {
    const answer = allocateAs(challenged(withKeys('new')), user)
    assert.ok(answer)
    const { id: _id, bytes, nonce: _nonce, ...rest } = answer
    return { ...rest, length: bytes.length }
  })
  assert.deepEqual(answers[1], answers[0])
  assert.deepEqual(answers[2], answers[0])
})

const STALE: readonly [name: string, nonce: (nonce: string) => string, from: string, laterSeconds: number][] =
  [
    ['forged', (nonce) => nonce.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')), '198.51.100.7:4000', 0],
    ["another client's", (nonce) => nonce, '198.51.100.8:4000', 0],
    ['old', (nonce) => nonce, '198.51.100.7:4000', 3602],
  ]
for (const [name, change, from, later] of STALE) {
  test(`RFC 8489 §9.2.4: ${name} nonce is answered 438 with one that works`, () => {
    const harness = new TurnHarness()
    const nonce = change(harness.client().ask(METHOD.Allocate)!.nonce!)
    harness.pass(later)
    const client = harness.client(from)
    const stale = client.ask(METHOD.Allocate, { user: USER, nonce, attributes: UDP })
    assert.equal(stale?.code, 438)
    assert.equal(stale.realm, REALM)
    assert.equal(client.ask(METHOD.Allocate, { user: USER, nonce: stale.nonce, attributes: UDP })?.code, 0)
  })
}

test('a nonce of one relay works on another of the fleet', () => {
  const nonce = new TurnHarness().client().ask(METHOD.Allocate)?.nonce
  assert.equal(
    new TurnHarness().client().ask(METHOD.Allocate, { user: USER, nonce, attributes: UDP })?.code,
    0,
  )
})

test('RFC 8656 §5: another user on the 5-tuple is answered 441, and changes nothing', () => {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  for (const method of [METHOD.Refresh, METHOD.CreatePermission, METHOD.ChannelBind]) {
    assert.equal(client.ask(method, { user: OTHER_USER, nonce: client.nonce })?.code, 441)
  }
  assert.equal(harness.server.allocationCount, 1)
})

test('a live allocation outlasts the expiry of its credential and the rotation of its key', () => {
  const client = challenged(withKeys('old'))
  const user = rest('old', `${EPOCH_SECONDS + 60}:carol`)
  assert.equal(allocateAs(client, user)?.code, 0)
  client.harness.pass(500)
  client.harness.server.updateConfig(turnServerConfig(relayConfigFor(withKeys('new'))))
  assert.equal(client.request(METHOD.Refresh, undefined, { user })?.code, 0)
  const late = client.harness.client('198.51.100.9:9')
  late.nonce = late.ask(METHOD.Allocate)?.nonce
  assert.equal(allocateAs(late, user)?.code, 401)
})

test('RFC 8489 §14.5: attributes after MESSAGE-INTEGRITY count for nothing', () => {
  const client = challenged()
  const bytes = request(METHOD.Allocate, { user: USER, nonce: client.nonce })
  const late = new Uint8Array(bytes.length + 8)
  late.set(bytes)
  late.set([0, ATTRIBUTE.RequestedTransport, 0, 4, 17, 0, 0, 0], bytes.length)
  new DataView(late.buffer).setUint16(2, late.length - 20)
  client.harness.fromClient(client.from, late)
  assert.equal(client.harness.drain()[0]?.code, 400, 'REQUESTED-TRANSPORT was behind the integrity')
})

test('RFC 8489 §6.3.1: unknown comprehension-required attributes are listed once in a 420', () => {
  const client = challenged()
  const answer = client.allocate((writer) => {
    writer.addUint32(0x7f01, 1).addUint32(0x7f02, 1).addUint32(0x7f01, 2).addUint32(0xff03, 1)
  })
  assert.equal(answer?.code, 420)
  assert.deepEqual(answer.unknown, [0x7f01, 0x7f02])
})

test('answers to requests without credentials stop at their budget, others do not', () => {
  const harness = new TurnHarness({ limits: { unauthenticatedResponsesPerSecond: 10 } })
  const good = harness.client('198.51.100.9:9')
  good.allocate()
  const answered = Array.from({ length: 50 }, (_, i) =>
    harness.client(`198.51.100.7:${i + 1}`).ask(METHOD.Binding),
  )
  assert.equal(answered.filter(Boolean).length, 9)
  assert.equal(good.refresh()?.code, 0)
  harness.pass(1)
  assert.ok(harness.client().ask(METHOD.Binding))
  assert.equal(harness.server.counters.drops['unauthenticated-budget'], 41)
})
