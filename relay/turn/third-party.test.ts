import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sealAccessToken, type TokenParts } from '../../test/support/access-token.ts'
import {
  address,
  type Client,
  EPOCH_SECONDS,
  REALM,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { readText } from '../stun/attributes.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import { StunWriter } from '../stun/writer.ts'

const SERVER = 'turn1.example.org'
const [NORTH, UNION, GONE] = [32, 16, 32].map((bytes, i) => new Uint8Array(bytes).fill(i + 1)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
]
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const KEYS = [
  { id: 'north', key: base64(NORTH) },
  { id: 'union', key: base64(UNION), algorithm: 'A128GCM' as const },
]
const MAC_KEY = new Uint8Array(20).fill(9)
const OTHER_MAC_KEY = new Uint8Array(20).fill(8)

function offering(input: Partial<RelayConfigInput> = {}): TurnHarness {
  return new TurnHarness({
    credentials: { users: [USER], thirdParty: { serverName: SERVER, keys: KEYS } },
    ...input,
  })
}

function token(parts: Partial<TokenParts> = {}): Uint8Array {
  const right = { key: NORTH, serverName: SERVER, macKey: MAC_KEY, lifetimeSeconds: 3600 }
  return sealAccessToken({ ...right, timestampSeconds: EPOCH_SECONDS, ...parts })
}

interface Signed {
  readonly nonce: string | undefined
  readonly kid?: string
  readonly token?: Uint8Array | undefined
  readonly macKey?: Uint8Array
  readonly lifetime?: number
  readonly attributes?: (writer: StunWriter) => void
}

function send(client: Client, method: number, options: Signed) {
  const { nonce, kid = 'north', macKey = MAC_KEY, lifetime } = options
  const writer = new StunWriter().start(method, CLASS.Request, nodeCrypto.randomBytes(12))
  if (method === METHOD.Allocate) writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
  if (lifetime !== undefined) writer.addUint32(ATTRIBUTE.Lifetime, lifetime)
  options.attributes?.(writer)
  writer.addText(ATTRIBUTE.Username, kid).addText(ATTRIBUTE.Realm, REALM).addText(ATTRIBUTE.Nonce, nonce!)
  if (options.token) writer.addBytes(ATTRIBUTE.AccessToken, options.token)
  client.harness.fromClient(
    client.from,
    writer.finish({ integrityKey: macKey, crypto: nodeCrypto }),
    client.link,
  )
  return client.harness.drain().at(-1)
}

function read(bytes: Uint8Array): StunReader {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}

function challenged(harness = offering()) {
  const client = harness.client()
  return { client, nonce: client.ask(METHOD.Allocate)?.nonce }
}

test('RFC 7635 §4: a 401 names the server in THIRD-PARTY-AUTHORIZATION where it is configured, and only there', () => {
  const reader = read(offering().client().ask(METHOD.Allocate)!.bytes)
  assert.equal(readText(reader, reader.find(ATTRIBUTE.ThirdPartyAuthorization), 253), SERVER)
  const plain = read(new TurnHarness().client().ask(METHOD.Allocate)!.bytes)
  assert.equal(plain.has(ATTRIBUTE.ThirdPartyAuthorization), false)
})

test('a 401 that offers third-party authorization is at most 3.5 times the shortest Allocate, whatever the names', () => {
  const bytes = request(METHOD.Allocate, {
    attributes: (writer) => void writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17),
  })
  for (const [realm, serverName] of [
    [REALM, SERVER],
    ['r'.repeat(20), 's'.repeat(20)],
  ] as const) {
    const harness = offering({ realm, credentials: { thirdParty: { serverName, keys: KEYS } } })
    harness.fromClient('198.51.100.7:4000', bytes)
    assert.ok(harness.drain()[0]!.bytes.length <= 3.5 * bytes.length)
  }
  const long = { thirdParty: { serverName: 's'.repeat(25), keys: KEYS } }
  assert.throws(
    () => relayConfigFor({ realm: 'r'.repeat(20), credentials: long }),
    /shorten realm or serverName/,
  )
  const both = { offerSha256: true, thirdParty: { serverName: SERVER, keys: KEYS } }
  assert.throws(() => relayConfigFor({ credentials: both }), /turn offerSha256 off/)
})

const TOKENS: readonly [name: string, options: Partial<Signed>, code: number][] = [
  ['of an AES-256-GCM key', { token: token() }, 0],
  ['of an AES-128-GCM key', { token: token({ key: UNION }), kid: 'union' }, 0],
  ['under another kid', { token: token(), kid: 'union' }, 401],
  ['of an unknown kid', { token: token({ key: GONE }), kid: 'gone' }, 401],
  ['under the name of a user', { token: token(), kid: USER.username }, 401],
  ['of another key', { token: token({ key: GONE }) }, 401],
  ['for another server', { token: token({ serverName: 'turn2.example.org' }) }, 401],
  ['with another mac_key than signed', { token: token(), macKey: OTHER_MAC_KEY }, 401],
  [
    'signed with the first 16 bytes of its mac_key, as coturn does',
    { token: token(), macKey: MAC_KEY.subarray(0, 16) },
    0,
  ],
  ['of no bytes', { token: new Uint8Array(0) }, 401],
  ['of 1500 bytes', { token: new Uint8Array(1500).fill(12) }, 401],
  ['with a nonce longer than itself', { token: Uint8Array.of(255, 255, ...token().subarray(2)) }, 401],
  ['that has just run out', { token: token({ timestampSeconds: EPOCH_SECONDS - 3605 }) }, 401],
  ['within the skew of its end', { token: token({ timestampSeconds: EPOCH_SECONDS - 3603 }) }, 0],
  ['of the future, beyond its lifetime', { token: token({ timestampSeconds: EPOCH_SECONDS + 3607 }) }, 401],
  ['of the future, within its lifetime', { token: token({ timestampSeconds: EPOCH_SECONDS + 60 }) }, 0],
]
for (const [name, options, code] of TOKENS) {
  test(`RFC 7635 §7: Allocate with a token ${name}: ${code || 'success'}`, () => {
    const { client, nonce } = challenged()
    const answer = send(client, METHOD.Allocate, { ...options, nonce })
    assert.equal(answer?.code, code)
    assert.equal(client.harness.server.allocationCount, code === 0 ? 1 : 0)
    const reader = read(answer.bytes)
    if (code === 0) assert.ok(reader.verifyIntegrity(options.macKey ?? MAC_KEY, nodeCrypto))
    else assert.ok(reader.has(ATTRIBUTE.ThirdPartyAuthorization) && answer.nonce)
  })
}

test('RFC 7635 §7: where it is not offered, ACCESS-TOKEN is an unknown attribute: 420', () => {
  const { client, nonce } = challenged(new TurnHarness())
  const answer = send(client, METHOD.Allocate, { nonce, token: token() })
  assert.deepEqual([answer?.code, answer?.unknown], [420, [ATTRIBUTE.AccessToken]])
})

test('a user with a password gets in beside', () => {
  assert.equal(offering().client().allocate()?.code, 0)
})

test('RFC 7635 §9: no lifetime is longer than what is left of the token, with the skew', () => {
  const { client, nonce } = challenged()
  const made = send(client, METHOD.Allocate, {
    nonce,
    token: token({ lifetimeSeconds: 100 }),
    lifetime: 3600,
  })
  assert.equal(made?.lifetime, 104)
  client.harness.pass(50)
  assert.equal(send(client, METHOD.Refresh, { nonce, lifetime: 3600 })?.lifetime, 54)
})

test('RFC 7635 §9: a newer token, of a newer key, refreshes the allocation, whose next requests carry its key', () => {
  const { client, nonce } = challenged()
  assert.equal(send(client, METHOD.Allocate, { nonce, token: token({ lifetimeSeconds: 60 }) })?.code, 0)
  client.harness.pass(62)
  assert.equal(send(client, METHOD.Refresh, { nonce })?.lifetime, 2)
  const newer = token({ key: UNION, macKey: OTHER_MAC_KEY, timestampSeconds: EPOCH_SECONDS + 60 })
  const next = { nonce, kid: 'union', macKey: OTHER_MAC_KEY }
  assert.equal(send(client, METHOD.Refresh, { ...next, token: newer })?.lifetime, 600)
  const peer = (writer: StunWriter) =>
    void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('8.8.8.8:1'))
  assert.equal(send(client, METHOD.CreatePermission, { ...next, attributes: peer })?.code, 0)
  assert.equal(send(client, METHOD.Refresh, { ...next, lifetime: 0 })?.code, 0)
  assert.equal(client.harness.server.allocationCount, 0)
})

test('RFC 7635 §9: once the token is over, a Refresh needs another one', () => {
  const { client, nonce } = challenged()
  send(client, METHOD.Allocate, { nonce, token: token({ lifetimeSeconds: 600 }) })
  client.harness.pass(606)
  const late = send(client, METHOD.Refresh, { nonce })
  assert.equal(late?.code, 401)
  assert.ok(read(late.bytes).has(ATTRIBUTE.ThirdPartyAuthorization))
})

test('RFC 8656 §5: the holder of a token has no business with the allocation of a user, nor the other way round', () => {
  const namesake = { username: 'north', password: 'x' }
  const credentials = { users: [USER, namesake], thirdParty: { serverName: SERVER, keys: KEYS } }
  const { client, nonce } = challenged(offering({ credentials }))
  send(client, METHOD.Allocate, { nonce, token: token() })
  client.nonce = nonce
  assert.equal(client.refresh()?.code, 441)
  assert.equal(
    client.request(METHOD.Refresh, undefined, { user: namesake })?.code,
    441,
    'a user called as the key',
  )
  const users = client.harness.client('198.51.100.7:4001')
  users.allocate()
  assert.equal(send(users, METHOD.Refresh, { nonce: users.nonce, token: token() })?.code, 441)
})

test('RFC 8656 §7.2: a reserved port is given to the next token of the client that reserved it', () => {
  const harness = offering()
  const first = challengedAt(harness, 1)
  const even = (writer: StunWriter) => void writer.addEvenPort(true)
  const made = send(first.client, METHOD.Allocate, { nonce: first.nonce, token: token(), attributes: even })
  const reserved = (writer: StunWriter) => void writer.addBytes(ATTRIBUTE.ReservationToken, made!.token!)
  const next = challengedAt(harness, 2)
  const other = { macKey: OTHER_MAC_KEY, token: token({ macKey: OTHER_MAC_KEY }), attributes: reserved }
  assert.equal(send(next.client, METHOD.Allocate, { nonce: next.nonce, ...other })?.code, 0)
  assert.equal(harness.server.reservationCount, 0)
})

test('RFC 7635 §7: an unknown kid costs the work of a known one whose token does not open', () => {
  const work = ['north', 'gone'].map((kid) => {
    let opened = 0
    const crypto = {
      ...nodeCrypto,
      openAesGcm: (...sealed: Parameters<typeof nodeCrypto.openAesGcm>) => {
        opened++
        return nodeCrypto.openAesGcm(...sealed)
      },
    }
    const credentials = { thirdParty: { serverName: SERVER, keys: KEYS } }
    const { client, nonce } = challenged(new TurnHarness({ credentials }, { crypto }))
    assert.equal(send(client, METHOD.Allocate, { nonce, kid, token: token({ key: GONE }) })?.code, 401)
    return opened
  })
  assert.deepEqual(work, [1, 1])
})

test('each token has a quota of its own, and gives all of it back', () => {
  const harness = offering({ limits: { allocationsPerUser: 1 } })
  const from = (port: number) => challengedAt(harness, port)
  const codes = [
    [1, MAC_KEY],
    [2, MAC_KEY],
    [3, OTHER_MAC_KEY],
  ] as const
  assert.deepEqual(
    codes.map(([port, macKey]) => {
      const { client, nonce } = from(port)
      return send(client, METHOD.Allocate, { nonce, macKey, token: token({ macKey }) })?.code
    }),
    [0, 486, 0],
  )
  const first = from(1)
  const renewed = { nonce: first.nonce, macKey: OTHER_MAC_KEY }
  const newer = token({ macKey: OTHER_MAC_KEY, timestampSeconds: EPOCH_SECONDS + 1 })
  assert.equal(send(first.client, METHOD.Refresh, { ...renewed, token: newer })?.code, 0)
  assert.equal(send(first.client, METHOD.Refresh, { ...renewed, lifetime: 0 })?.code, 0)
  const again = from(4)
  assert.equal(send(again.client, METHOD.Allocate, { nonce: again.nonce, token: token() })?.code, 0)
})

test('a mobile client moves with the token it came with, and with no other', () => {
  const harness = offering({ mobility: true })
  const { client, nonce } = challenged(harness)
  const made = send(client, METHOD.Allocate, {
    nonce,
    token: token(),
    attributes: (writer) => void writer.addFlag(ATTRIBUTE.MobilityTicket),
  })
  const reader = read(made!.bytes)
  const ticket = reader.value(reader.find(ATTRIBUTE.MobilityTicket)).slice()
  const attributes = (writer: StunWriter) => void writer.addBytes(ATTRIBUTE.MobilityTicket, ticket)
  const moved = challengedAt(harness, 5000)
  const stolen = {
    nonce: moved.nonce,
    macKey: OTHER_MAC_KEY,
    token: token({ macKey: OTHER_MAC_KEY }),
    attributes,
  }
  assert.equal(send(moved.client, METHOD.Refresh, stolen)?.code, 441)
  assert.equal(
    send(moved.client, METHOD.Refresh, { nonce: moved.nonce, token: token(), attributes })?.code,
    0,
  )
})

function challengedAt(harness: TurnHarness, port: number) {
  const client = harness.client(`198.51.100.7:${port}`)
  return { client, nonce: client.ask(METHOD.Allocate)?.nonce }
}
