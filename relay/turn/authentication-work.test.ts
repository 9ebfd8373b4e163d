import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Client,
  EPOCH_SECONDS,
  type RequestOptions,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import type { ServerCrypto } from '../stun/crypto.ts'
import { METHOD } from '../stun/methods.ts'
import type { StunWriter } from '../stun/writer.ts'

const UDP = (writer: StunWriter) => writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
const HOUR = EPOCH_SECONDS + 3600
const KEYS = ['new', 'middle', 'old'].map((secret) => ({ id: secret, secret }))
const KEY_LOOKUPS = 2 * KEYS.length

/** Node's cryptography that writes down what it was asked for. */
class Watched implements ServerCrypto {
  calls: string[] = []

  md5(data: Uint8Array): Uint8Array {
    this.calls.push('md5')
    return nodeCrypto.md5(data)
  }

  sha256(data: Uint8Array): Uint8Array {
    this.calls.push('sha256')
    return nodeCrypto.sha256(data)
  }

  hmacSha1(key: Uint8Array, data: Uint8Array): Uint8Array {
    this.calls.push('hmacSha1')
    return nodeCrypto.hmacSha1(key, data)
  }

  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
    this.calls.push('hmacSha256')
    return nodeCrypto.hmacSha256(key, data)
  }

  equal(a: Uint8Array, b: Uint8Array): boolean {
    this.calls.push('equal')
    return nodeCrypto.equal(a, b)
  }

  openAesGcm(...sealed: Parameters<ServerCrypto['openAesGcm']>): Uint8Array | undefined {
    this.calls.push('openAesGcm')
    return nodeCrypto.openAesGcm(...sealed)
  }

  randomBytes(length: number): Uint8Array {
    return nodeCrypto.randomBytes(length)
  }
}

function rest(secret: string, username: string) {
  const mac = nodeCrypto.hmacSha1(new TextEncoder().encode(secret), new TextEncoder().encode(username))
  return { username, password: Buffer.from(mac).toString('base64') }
}

function watched(limits = {}): { crypto: Watched; client: Client } {
  const crypto = new Watched()
  const client = new TurnHarness({ credentials: { users: [USER], keys: KEYS }, limits }, { crypto }).client()
  client.nonce = client.ask(METHOD.Allocate)?.nonce
  crypto.calls = []
  return { crypto, client }
}

function workFor(user: RequestOptions['user']): string[] {
  const { crypto, client } = watched()
  assert.equal(client.ask(METHOD.Allocate, { user, nonce: client.nonce, attributes: UDP })?.code, 401)
  return crypto.calls
}

test('RFC 8489 §9.2.4: a name that exists and one that does not cost the same work, call by call', () => {
  const wrong = workFor({ ...USER, password: 'x' })
  assert.ok(wrong.includes('hmacSha1'))
  assert.deepEqual(workFor({ username: 'mallory', password: 'x' }), wrong)
})

test('TURN REST names with a wrong password and with an expiry in the past cost the same work', () => {
  const wrong = workFor({ username: `${HOUR}:carol`, password: 'x' })
  assert.equal(wrong.filter((call) => call === 'md5').length, KEY_LOOKUPS)
  assert.deepEqual(workFor(rest('new', `${EPOCH_SECONDS - 1}:carol`)), wrong)
  assert.deepEqual(workFor({ username: `${EPOCH_SECONDS - 1}:carol`, password: 'x' }), wrong)
})

test('a nonce that is not ours gets an integrity worked out only as often as its source may be answered', () => {
  const { crypto, client } = watched({ unauthenticatedResponsesPerSecondPerAddress: 10 })
  const forged = { user: rest('gone', `${HOUR}:carol`), nonce: 'A'.repeat(16), attributes: UDP }
  let answers = 0
  for (let i = 0; i < 100; i++) if (client.ask(METHOD.Allocate, forged)) answers++
  assert.equal(answers, 9, 'the challenge was the first of ten')
  assert.equal(crypto.calls.filter((call) => call === 'md5').length, answers * KEY_LOOKUPS)
  assert.equal(client.harness.server.counters.drops['unauthenticated-source-budget'], 91)
})

test('who has a nonce of ours gets in though others of his address have used up its answers', () => {
  const { client } = watched({ unauthenticatedResponsesPerSecondPerAddress: 10 })
  const flood = client.harness.client('198.51.100.7:4999')
  for (let i = 0; i < 50; i++) flood.ask(METHOD.Binding)
  assert.equal(client.allocate()?.code, 0)
})

test('RFC 8489 §9.2.4: with a stale nonce a wrong password is still answered 401, a right one 438', () => {
  const { client } = watched()
  const ask = (user: RequestOptions['user']) =>
    client.ask(METHOD.Allocate, { user, nonce: 'A'.repeat(16), attributes: UDP })?.code
  assert.deepEqual([ask({ ...USER, password: 'x' }), ask(USER)], [401, 438])
})

test('a 401 is at most 2.6 times the shortest Allocate for realms of up to 20 characters', () => {
  const bytes = request(METHOD.Allocate, { attributes: UDP })
  for (const length of [1, 4, 16, 20]) {
    const harness = new TurnHarness({ realm: 'r'.repeat(length) })
    harness.fromClient('198.51.100.7:4000', bytes)
    const [answer] = harness.drain()
    assert.ok(answer?.nonce)
    assert.ok(answer.bytes.length <= 2.6 * bytes.length, `${answer.bytes.length} bytes`)
  }
})

const BARE = [METHOD.Allocate, METHOD.Refresh, METHOD.CreatePermission, METHOD.ChannelBind]
for (const method of BARE) {
  test(`RFC 8489 §16.1.2: the bare header of method ${method} gets a 401 without a challenge over UDP, with one over a stream`, () => {
    const harness = new TurnHarness()
    harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
    const answers = [1, 2].map((link) => {
      harness.fromClient('198.51.100.7:4000', request(method), link)
      return harness.drain()[0]
    })
    assert.deepEqual([answers[0]?.code, answers[0]?.nonce, answers[0]?.bytes.length], [401, undefined, 28])
    assert.deepEqual([answers[1]?.code, answers[1]?.nonce !== undefined], [401, true])
  })
}
