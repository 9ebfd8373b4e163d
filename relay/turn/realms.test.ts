import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  address,
  type Client,
  EPOCH_SECONDS,
  REALM,
  relayConfigFor,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { formatSignedUsername, signedPassword, signingKey } from '../api/signed-credential.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { longTermKey } from '../stun/integrity.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import { StunWriter } from '../stun/writer.ts'
import { turnServerConfig } from './server-config.ts'

const OTHER = 'other.example.org'
const THIRD = 'third.example.org'
/** The name of a user of the default realm, with another password. */
const NAMESAKE = { username: USER.username, password: 'looking-glass' }
const CONFIG: Partial<RelayConfigInput> = {
  listeners: [
    { protocol: 'udp', port: 3478 },
    { protocol: 'udp', port: 3479, realm: OTHER },
    { protocol: 'tcp', port: 3479 },
  ],
  peerPolicies: [{ name: 'media', mode: 'private', allow: ['10.1.0.0/16'] }],
  realms: [
    { realm: OTHER, credentials: { users: [NAMESAKE] } },
    {
      realm: THIRD,
      credentials: { users: [USER], keys: [{ id: 'k1', secret: 's' }] },
      origins: ['https://third.example.org'],
      serverNames: ['Turn.Third.example.org', '*.eu.third.example.org'],
      peerPolicy: 'media',
      limits: { allocations: 3, allocationsPerUser: 2 },
    },
  ],
}

function relay(input: Partial<RelayConfigInput> = {}): TurnHarness {
  const harness = new TurnHarness({ ...CONFIG, ...input })
  harness.addLink(2, 'udp', '192.0.2.1:3479')
  harness.addLink(3, 'tcp', '192.0.2.1:3479', '198.51.100.7:4000')
  return harness
}

interface Asked {
  readonly user?: typeof USER
  readonly realm?: string
  readonly nonce?: string | undefined
  readonly origin?: string
  readonly attributes?: (writer: StunWriter) => void
}

function ask(client: Client, method: number, { user, realm = REALM, nonce, origin, attributes }: Asked) {
  const writer = new StunWriter().start(method, CLASS.Request, nodeCrypto.randomBytes(12))
  if (method === METHOD.Allocate) writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
  attributes?.(writer)
  if (origin !== undefined) writer.addText(ATTRIBUTE.Origin, origin)
  if (user) {
    writer.addText(ATTRIBUTE.Username, user.username).addText(ATTRIBUTE.Realm, realm)
    writer.addText(ATTRIBUTE.Nonce, nonce ?? client.nonce ?? '')
  }
  const integrityKey = user && longTermKey(nodeCrypto, user.username, realm, user.password)
  client.harness.fromClient(client.from, writer.finish({ integrityKey, crypto: nodeCrypto }), client.link)
  return client.harness.drain().at(-1)
}

let port = 2000
function client(harness: TurnHarness): Client {
  const one = harness.client(`198.51.100.7:${++port}`)
  one.nonce = ask(one, METHOD.Allocate, {})?.nonce
  return one
}

const allocate = (harness: TurnHarness, user: typeof USER, realm: string) =>
  ask(client(harness), METHOD.Allocate, { user, realm })?.code

const CHALLENGES: readonly [name: string, link: number, origin: string | undefined, realm: string][] = [
  ['a client that says nothing', 1, undefined, REALM],
  ['a client at the listener of another realm', 2, undefined, OTHER],
  ['a stream on the port of that listener', 3, undefined, REALM],
  ['a client with the ORIGIN of a third', 1, 'https://third.example.org', THIRD],
  ['a client with that ORIGIN at the listener of the other', 2, 'https://third.example.org', THIRD],
  ['a client with an ORIGIN of nobody', 1, 'https://elsewhere.example.org', REALM],
  ['a client with an ORIGIN of 300 bytes', 1, `https://${'x'.repeat(292)}`, REALM],
]
for (const [name, link, origin, realm] of CHALLENGES) {
  test(`RFC 8489 §9.2.4: ${name} is challenged for ${realm}`, () => {
    const one = relay().client('198.51.100.7:4000', link)
    const answer = ask(one, METHOD.Allocate, origin === undefined ? {} : { origin })
    assert.deepEqual([answer?.code, answer?.realm], [401, realm])
  })
}

const SERVER_NAMES: readonly [serverName: string | undefined, realm: string][] = [
  ['turn.third.example.org', THIRD],
  ['TURN.third.example.org', THIRD],
  ['a.eu.third.example.org', THIRD],
  ['b.a.eu.third.example.org', REALM],
  ['eu.third.example.org', REALM],
  ['elsewhere.example.org', REALM],
  [undefined, REALM],
]
for (const [serverName, realm] of SERVER_NAMES) {
  test(`a client that asks for ${serverName} in TLS is challenged for ${realm}`, () => {
    const harness = relay()
    const [local, remote] = [address('192.0.2.1:443'), address('198.51.100.7:4000')]
    harness.server.addLink({ id: 9, transport: 'tls', local, remote, serverName })
    assert.equal(ask(harness.client('198.51.100.7:4000', 9), METHOD.Allocate, {})?.realm, realm)
  })
}

const LOGINS: readonly [name: string, user: typeof USER, realm: string, code: number][] = [
  ['the default realm', USER, REALM, 0],
  ['another realm, wherever it comes', NAMESAKE, OTHER, 0],
  ['the default realm, with the password of the other', NAMESAKE, REALM, 401],
  ['the other realm, with the password of the default', USER, OTHER, 401],
  ['a realm that is none', USER, 'nowhere.example.org', 401],
]
for (const [name, user, realm, code] of LOGINS) {
  test(`a user of ${name}: ${code || 'success'}`, () => assert.equal(allocate(relay(), user, realm), code))
}

test('RFC 8489 §9.2.4: a wrong password and a stale nonce are answered for the realm of the request', () => {
  const one = client(relay())
  const wrong = ask(one, METHOD.Allocate, { user: USER, realm: OTHER })
  assert.deepEqual([wrong?.code, wrong?.realm], [401, OTHER])
  const stale = ask(one, METHOD.Allocate, { user: NAMESAKE, realm: OTHER, nonce: 'A'.repeat(16) })
  assert.deepEqual([stale?.code, stale?.realm], [438, OTHER])
})

test('RFC 8656 §5: a namesake of another realm on the 5-tuple is answered 441', () => {
  const one = client(relay())
  assert.equal(ask(one, METHOD.Allocate, { user: USER })?.code, 0)
  assert.equal(ask(one, METHOD.Refresh, { user: NAMESAKE, realm: OTHER })?.code, 441)
  assert.equal(ask(one, METHOD.Refresh, { user: USER })?.code, 0)
})

test('an allocation keeps its realm, and events name it, also when the realm is gone', () => {
  const harness = relay()
  const one = client(harness)
  assert.equal(ask(one, METHOD.Allocate, { user: NAMESAKE, realm: OTHER })?.code, 0)
  harness.server.updateConfig(turnServerConfig(relayConfigFor()))
  assert.equal(ask(one, METHOD.Refresh, { user: NAMESAKE, realm: OTHER })?.code, 0)
  assert.equal(allocate(harness, NAMESAKE, OTHER), 401)
  const end = (writer: StunWriter) => void writer.addUint32(ATTRIBUTE.Lifetime, 0)
  assert.equal(ask(one, METHOD.Refresh, { user: NAMESAKE, realm: OTHER, attributes: end })?.code, 0)
  const closed = harness.events.find((event) => event.kind === 'allocation-closed')
  assert.equal(closed?.allocation.realm, OTHER)
})

test('quotas: of a realm together, of each of its users, and nobody else’s', () => {
  const harness = relay()
  const rest = (user: string) => {
    const username = formatSignedUsername({ expiresUnixSeconds: EPOCH_SECONDS + 60, keyId: 'k1', user })
    return { username, password: signedPassword(nodeCrypto, signingKey(nodeCrypto, 's'), username) }
  }
  assert.deepEqual(
    [rest('ann'), rest('ann'), rest('ann'), rest('bob'), rest('bob')].map((user) =>
      allocate(harness, user, THIRD),
    ),
    [0, 0, 486, 0, 486],
  )
  const { refusals } = harness.server.counters
  assert.deepEqual([refusals['user-quota'], refusals['realm-quota']], [1, 1])
  assert.equal(allocate(harness, USER, REALM), 0)
})

test('the peer policy of a realm holds for its users', () => {
  const harness = relay()
  const permit = (one: Client, realm: string, peer: string) => {
    const attributes = (writer: StunWriter) =>
      void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
    return ask(one, METHOD.CreatePermission, { user: USER, realm, attributes })?.code
  }
  const codes = [REALM, THIRD].map((realm) => {
    const one = client(harness)
    ask(one, METHOD.Allocate, { user: USER, realm })
    return [permit(one, realm, '8.8.8.8:1'), permit(one, realm, '10.1.0.1:1')]
  })
  assert.deepEqual(codes, [
    [0, 403],
    [403, 0],
  ])
})

test('RFC 7635 §4: third-party authorization is offered for the realm that has it', () => {
  const key = Buffer.alloc(32, 1).toString('base64')
  const thirdParty = { serverName: 'turn1', keys: [{ id: 'north', key }] }
  const harness = relay({ realms: [{ realm: OTHER, credentials: { thirdParty } }] })
  const offers = [1, 2].map((link) => {
    const answer = ask(harness.client('198.51.100.7:4000', link), METHOD.Allocate, {})
    const reader = new StunReader()
    reader.read(answer!.bytes, 0, answer!.bytes.length)
    return reader.has(ATTRIBUTE.ThirdPartyAuthorization)
  })
  assert.deepEqual(offers, [false, true])
})

const REFUSED: readonly [name: string, input: Partial<RelayConfigInput>, says: RegExp][] = [
  ['the default realm once more', { realms: [{ realm: REALM }] }, /stands there twice/],
  ['a realm twice', { realms: [{ realm: OTHER }, { realm: OTHER }] }, /stands there twice/],
  ['a policy that is none', { realms: [{ realm: OTHER, peerPolicy: 'media' }] }, /peerPolicies has no/],
  ['a listener of no realm', { listeners: [{ protocol: 'udp', port: 1, realm: OTHER }] }, /realms has no/],
  [
    'a listener whose port nobody knows',
    { listeners: [{ protocol: 'udp', port: 0, realm: OTHER }], realms: [{ realm: OTHER }] },
    /needs a port/,
  ],
]
for (const [name, input, says] of REFUSED) {
  test(`a configuration with ${name} is refused`, () => assert.throws(() => relayConfigFor(input), says))
}
