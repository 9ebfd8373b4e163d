import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Client,
  OTHER_USER,
  REALM,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { userhash } from '../stun/integrity.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { FEATURE, nonceCookie, readNonceCookie } from '../stun/nonce-cookie.ts'
import { OFFERED_PASSWORD_ALGORITHMS as OFFERED, passwordKey } from '../stun/password-algorithm.ts'
import { StunReader } from '../stun/reader.ts'
import { type FinishOptions, StunWriter } from '../stun/writer.ts'
import { turnServerConfig } from './server-config.ts'

const UDP = (writer: StunWriter) => writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
const USERS = [USER, OTHER_USER]
const BOTH = FEATURE.PasswordAlgorithms | FEATURE.UsernameAnonymity
const [MD5, SHA256] = [0x0001_0000, 0x0002_0000]

/** A relay that offers SHA-256. */
function offering(credentials: Partial<RelayConfigInput['credentials']> = {}): TurnHarness {
  return new TurnHarness({ credentials: { users: USERS, offerSha256: true, ...credentials } })
}

interface Signed {
  nonce: string
  /** USERNAME or USERHASH. */
  name?: string | Uint8Array
  offered?: Uint8Array | undefined
  algorithm?: number | undefined
  key?: 'md5' | 'sha256'
  /** The attribute that signs, and how much of it is sent. */
  integrity?: 'sha1' | 'sha256' | number
  method?: number
}

/** A request, right unless an option says otherwise. */
function signed(options: Signed): Uint8Array {
  const {
    nonce,
    name = USER.username,
    key = 'sha256',
    integrity = 'sha256',
    method = METHOD.Allocate,
  } = options
  const { offered, algorithm } = { offered: OFFERED, algorithm: SHA256, ...options }
  const writer = new StunWriter().start(method, CLASS.Request, nodeCrypto.randomBytes(12))
  UDP(writer)
  if (typeof name === 'string') writer.addText(ATTRIBUTE.Username, name)
  else writer.addBytes(ATTRIBUTE.Userhash, name)
  writer.addText(ATTRIBUTE.Realm, REALM).addText(ATTRIBUTE.Nonce, nonce)
  if (offered) writer.addBytes(ATTRIBUTE.PasswordAlgorithms, offered)
  if (algorithm !== undefined) writer.addUint32(ATTRIBUTE.PasswordAlgorithm, algorithm)
  const signingKey = passwordKey(nodeCrypto, key, USER.username, REALM, USER.password)
  const closing: FinishOptions =
    integrity === 'sha1' ? { integrityKey: signingKey } : { sha256Key: signingKey }
  const bytes = writer.finish({ ...closing, crypto: nodeCrypto })
  return typeof integrity === 'number' ? truncated(bytes, integrity, signingKey) : bytes
}

/** The message with its MESSAGE-INTEGRITY-SHA256 cut to `bytes`, computed anew for the shorter length. */
function truncated(message: Uint8Array, bytes: number, key: Uint8Array): Uint8Array {
  const short = message.slice(0, message.length - 32 + bytes)
  const view = new DataView(short.buffer)
  view.setUint16(2, short.length - 20)
  const at = short.length - bytes
  view.setUint16(at - 2, bytes)
  short.set(nodeCrypto.hmacSha256(key, short.subarray(0, at - 4)).subarray(0, bytes), at)
  return short
}

function send(client: Client, bytes: Uint8Array) {
  client.harness.fromClient(client.from, bytes, client.link)
  return client.harness.drain().at(-1)
}

function challenged(harness = offering()): { client: Client; nonce: string } {
  const client = harness.client()
  return { client, nonce: client.ask(METHOD.Allocate)!.nonce! }
}

function read(bytes: Uint8Array): StunReader {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}

test('RFC 8489 §9.2.4: a challenge offers SHA-256 before MD5, and its nonce says so', () => {
  const answer = offering().client().ask(METHOD.Allocate)!
  const reader = read(answer.bytes)
  assert.deepEqual(reader.value(reader.find(ATTRIBUTE.PasswordAlgorithms)), OFFERED)
  assert.equal(readNonceCookie(answer.nonce!), BOTH)
})

test('without offerSha256 a challenge has neither cookie nor PASSWORD-ALGORITHMS', () => {
  const answer = new TurnHarness().client().ask(METHOD.Allocate)!
  assert.equal(readNonceCookie(answer.nonce!), undefined)
  assert.equal(read(answer.bytes).has(ATTRIBUTE.PasswordAlgorithms), false)
})

test('RFC 8489 §9.2.4: hashed names are not offered where TURN REST names could not be found by them', () => {
  const answer = offering({ keys: [{ id: 'k', secret: 's' }] })
    .client()
    .ask(METHOD.Allocate)!
  assert.equal(readNonceCookie(answer.nonce!), FEATURE.PasswordAlgorithms)
})

test('a 401 that offers SHA-256 is at most 3.5 times the shortest Allocate', () => {
  const bytes = request(METHOD.Allocate, { attributes: UDP })
  const harness = offering()
  harness.fromClient('198.51.100.7:4000', bytes)
  assert.ok(harness.drain()[0]!.bytes.length <= 3.5 * bytes.length)
})

const HASH = userhash(nodeCrypto, USER.username, REALM)
const ACCEPTED: readonly [name: string, options: Partial<Signed>, response: 'sha1' | 'sha256'][] = [
  ['SHA-256', {}, 'sha256'],
  ['SHA-256 with a hashed name', { name: HASH }, 'sha256'],
  ['SHA-256 with an integrity of 16 bytes', { integrity: 16 }, 'sha256'],
  ['SHA-256 with an integrity of 28 bytes', { integrity: 28 }, 'sha256'],
  ['SHA-256 with MESSAGE-INTEGRITY', { integrity: 'sha1' }, 'sha256'],
  ['MD5 by PASSWORD-ALGORITHM', { algorithm: MD5, key: 'md5' }, 'sha256'],
  ['none, as RFC 5389', { offered: undefined, algorithm: undefined, key: 'md5', integrity: 'sha1' }, 'sha1'],
  ['none, with MESSAGE-INTEGRITY-SHA256', { offered: undefined, algorithm: undefined, key: 'md5' }, 'sha1'],
]
for (const [name, options, response] of ACCEPTED) {
  test(`RFC 8489 §9.2.4: a client that chooses ${name} gets in, and an answer with ${response}`, () => {
    const { client, nonce } = challenged()
    const answer = send(client, signed({ ...options, nonce }))!
    assert.equal(answer.code, 0)
    const key = passwordKey(nodeCrypto, options.key ?? 'sha256', USER.username, REALM, USER.password)
    const reader = read(answer.bytes)
    assert.equal(reader.verifyIntegrity(key, nodeCrypto), response === 'sha1')
    assert.equal(reader.verifyIntegritySha256(key, nodeCrypto, 32), response === 'sha256')
  })
}

const CUT: Uint8Array = OFFERED.subarray(4)
const REFUSED: readonly [name: string, options: Partial<Signed>, code: number][] = [
  ['SHA-256 was taken out of the offer', { offered: CUT, algorithm: MD5, key: 'md5' }, 400],
  ['the offer is in another order', { offered: Uint8Array.of(0, 1, 0, 0, 0, 2, 0, 0) }, 400],
  ['the offer is missing', { offered: undefined }, 400],
  ['the choice is missing', { algorithm: undefined }, 400],
  ['the choice was not offered', { algorithm: 0x0003_0000 }, 400],
  ['the choice has parameters', { algorithm: 0x0002_0004 }, 400],
  ['the key is of another algorithm', { key: 'md5' }, 401],
  ['the hash is nobody’s', { name: userhash(nodeCrypto, 'mallory', REALM) }, 401],
  ['the hash is of another realm', { name: userhash(nodeCrypto, USER.username, 'elsewhere') }, 401],
  ['the hash is short', { name: HASH.subarray(0, 31) }, 400],
]
for (const [name, options, code] of REFUSED) {
  test(`RFC 8489 §9.2.1, §9.2.4: ${code} where ${name}`, () => {
    const { client, nonce } = challenged()
    const answer = send(client, signed({ ...options, nonce }))
    assert.equal(answer?.code, code)
    assert.equal(client.harness.server.allocationCount, 0)
    if (code === 401) assert.ok(read(answer.bytes).has(ATTRIBUTE.PasswordAlgorithms))
    assert.equal(answer.nonce === undefined, code === 400)
  })
}

const FORGED: readonly [name: string, forge: (nonce: string) => string][] = [
  ['without its cookie', (nonce) => nonce.slice(13)],
  ['with a cookie of no features', (nonce) => nonceCookie(0) + nonce.slice(13)],
  ['with one of two features', (nonce) => nonceCookie(FEATURE.UsernameAnonymity) + nonce.slice(13)],
]
for (const [name, forge] of FORGED) {
  test(`RFC 8489 §9.2.1: a nonce ${name} is no nonce of ours: 438, and the new one offers all again`, () => {
    const { client, nonce } = challenged()
    const plain = { offered: undefined, algorithm: undefined, key: 'md5', integrity: 'sha1' } as const
    const answer = send(client, signed({ ...plain, nonce: forge(nonce) }))!
    assert.equal(answer.code, 438)
    assert.equal(readNonceCookie(answer.nonce!), BOTH)
    assert.ok(read(answer.bytes).has(ATTRIBUTE.PasswordAlgorithms))
  })
}

test('RFC 8489 §14.6: an integrity of 12 bytes makes the message malformed', () => {
  const { client, nonce } = challenged()
  assert.equal(send(client, signed({ nonce, integrity: 12 })), undefined)
  assert.equal(client.harness.server.counters.drops.malformed, 1)
})

test('a nonce that offers SHA-256 is honoured by a relay of the fleet that does not offer it', () => {
  const { nonce } = challenged()
  const other = new TurnHarness().client()
  assert.equal(send(other, signed({ nonce }))?.code, 0)
})

for (const [name, first, then] of [
  ['on', false, true],
  ['off', true, false],
] as const) {
  test(`a call goes on as it began when the offer is turned ${name} and its nonce is renewed`, () => {
    const credentials = { users: USERS, offerSha256: first }
    const { client, nonce } = challenged(new TurnHarness({ credentials }))
    const how = first
      ? {}
      : { offered: undefined, algorithm: undefined, key: 'md5' as const, integrity: 'sha1' as const }
    assert.equal(send(client, signed({ ...how, nonce }))?.code, 0)
    const { harness } = client
    harness.server.updateConfig(
      turnServerConfig(
        relayConfigFor({ credentials: { offerSha256: then }, nonceKeys: [{ id: 'n2', secret: 'new' }] }),
      ),
    )
    const stale = send(client, signed({ ...how, nonce, method: METHOD.Refresh }))!
    assert.equal(stale.code, 438)
    assert.equal(readNonceCookie(stale.nonce!) !== undefined, first)
    const refresh = signed({ ...how, nonce: stale.nonce!, method: METHOD.Refresh })
    assert.equal(send(client, refresh)?.code, 0, 'its user is no longer configured, its allocation is')
  })
}

test('a hashed name finds the allocation that was made with it, though the user is no longer configured', () => {
  const { client, nonce } = challenged()
  assert.equal(send(client, signed({ nonce, name: HASH }))?.code, 0)
  client.harness.server.updateConfig(turnServerConfig(relayConfigFor({ credentials: { offerSha256: true } })))
  assert.equal(send(client, signed({ nonce, name: HASH, method: METHOD.Refresh }))?.code, 0)
  const other = userhash(nodeCrypto, OTHER_USER.username, REALM)
  assert.equal(send(client, signed({ nonce, name: other, method: METHOD.Refresh }))?.code, 401)
})

test('unknown hashes, unknown names and wrong keys get answers of the same length', () => {
  const lengths = [{ name: new Uint8Array(32) }, { name: 'mallory' }, { key: 'md5' as const }].map(
    (options) => {
      const { client, nonce } = challenged()
      const answer = send(client, signed({ ...options, nonce }))
      return [answer?.code, answer?.bytes.length]
    },
  )
  assert.deepEqual(lengths[1], lengths[0])
  assert.deepEqual(lengths[2], lengths[0])
})
