import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, EPOCH_SECONDS, relayConfigFor, TurnHarness, USER } from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import {
  type CredentialClaims,
  formatSignedUsername,
  signedPassword,
  signingKey,
} from '../api/signed-credential.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import type { StunWriter } from '../stun/writer.ts'
import { turnServerConfig } from './server-config.ts'

const SECRET = 'ring secret'
const KEYS = [
  { id: 'k2', secret: 'newer' },
  { id: 'k1', secret: SECRET },
]

function relay(input: Partial<RelayConfigInput> = {}): TurnHarness {
  return new TurnHarness({ credentials: { users: [USER], keys: KEYS }, ...input })
}

function credential(claims: Partial<CredentialClaims> = {}, secret = SECRET) {
  const username = formatSignedUsername({
    expiresUnixSeconds: EPOCH_SECONDS + 600,
    keyId: 'k1',
    user: 'alice',
    ...claims,
  })
  return { username, password: signedPassword(nodeCrypto, signingKey(nodeCrypto, secret), username) }
}

let port = 1024
function comes(harness: TurnHarness, user: { username: string; password: string }) {
  const client = harness.client(`198.51.100.${port % 200}:${++port}`)
  client.nonce = client.ask(METHOD.Allocate)?.nonce
  return { client, user, answer: client.allocate(undefined, { user }) }
}

const codeOf = (harness: TurnHarness, user: { username: string; password: string }) =>
  comes(harness, user).answer?.code

test('a signed credential lets its user in, and the event names the key', () => {
  const harness = relay()
  assert.equal(codeOf(harness, credential()), 0)
  const opened = harness.events.find((event) => event.kind === 'allocation-opened')
  assert.equal(opened?.allocation.keyId, 'k1')
})

const CHANGES: readonly [name: string, change: (username: string) => string][] = [
  ['more allocations', (name) => name.replace('a=2', 'a=3')],
  ['a later expiry', (name) => name.replace(/^\d+/, (digits) => String(Number(digits) + 1))],
  ['another tenant', (name) => name.replace('t=acme', 't=acne')],
  ['another key', (name) => name.replace('k=k1', 'k=k2')],
  ['an unknown key', (name) => name.replace('k=k1', 'k=k9')],
  ['a claim less', (name) => name.replace('&a=2', '')],
  ['a claim more', (name) => `${name}&b=9`],
]
for (const [name, change] of CHANGES) {
  test(`a signed credential with ${name} than was signed is answered 401`, () => {
    const { username, password } = credential({ tenant: 'acme', allocations: 2 })
    const changed = { username: change(username), password }
    assert.notEqual(changed.username, username)
    assert.equal(codeOf(relay(), changed), 401)
  })
}

test('a plain TURN REST password makes no claims good: a name that a user chose for itself grants nothing', () => {
  const { username } = credential()
  const bytes = (text: string) => new TextEncoder().encode(text)
  for (const mac of [nodeCrypto.hmacSha1, nodeCrypto.hmacSha256]) {
    const password = Buffer.from(mac(bytes(SECRET), bytes(username))).toString('base64')
    assert.equal(codeOf(relay(), { username, password }), 401)
  }
})

test('an expired one makes no allocation; one that lives goes on', () => {
  const harness = relay()
  const { client, user, answer } = comes(harness, credential({ expiresUnixSeconds: EPOCH_SECONDS + 60 }))
  assert.equal(answer?.code, 0)
  harness.pass(120)
  assert.equal(client.request(METHOD.Refresh, undefined, { user })?.code, 0)
  assert.equal(codeOf(harness, user), 401)
})

test('allocations of the user, on every credential of his; another tenant’s user of that name has his own', () => {
  const harness = relay()
  const of = (tenant: string, expiresUnixSeconds: number) =>
    codeOf(harness, credential({ tenant, allocations: 2, expiresUnixSeconds }))
  const soon = EPOCH_SECONDS + 100
  assert.deepEqual([of('acme', soon), of('acme', soon + 1), of('acme', soon + 2)], [0, 0, 486])
  assert.equal(of('globex', soon), 0)
  assert.equal(codeOf(harness, USER), 0)
})

test('allocations of the tenant, whoever of it comes, given back as they end', () => {
  const harness = relay()
  const of = (user: string) => comes(harness, credential({ tenant: 'acme', tenantAllocations: 2, user }))
  const first = of('alice')
  assert.deepEqual([first.answer?.code, of('bob').answer?.code, of('carol').answer?.code], [0, 0, 486])
  assert.equal(harness.server.counters.refusals['tenant-quota'], 1)
  first.client.request(METHOD.Refresh, (writer) => void writer.addUint32(ATTRIBUTE.Lifetime, 0), {
    user: first.user,
  })
  assert.equal(of('carol').answer?.code, 0)
})

test('a credential never allows more than the relay does', () => {
  const harness = relay({ limits: { allocationsPerUser: 1 } })
  assert.deepEqual(
    [codeOf(harness, credential({ allocations: 50 })), codeOf(harness, credential({ allocations: 50 }))],
    [0, 486],
  )
})

const RATES: readonly [name: string, limit: number, claim: number, passes: number][] = [
  ['below the limit of the relay', 1000, 250, 2],
  ['above it', 300, 100_000, 3],
  ['where the relay has none', 0, 250, 2],
]
for (const [name, limit, claim, passes] of RATES) {
  test(`bytes per second ${name}: ${passes} of five packets of 100 bytes pass`, () => {
    const harness = relay({ limits: { bytesPerSecondPerAllocation: limit } })
    const { client, user } = comes(harness, credential({ bytesPerSecond: claim }))
    permit(client, user, '8.8.8.8:5000')
    const sent = Array.from({ length: 5 }, () => client.send('8.8.8.8:5000', 'x'.repeat(100)))
    assert.equal(sent.filter(Boolean).length, passes)
  })
}

test('peers: no other than those that the credential lists, and of them none that the relay refuses', () => {
  const harness = relay({ peers: { deny: ['8.8.4.0/24'] } })
  const { client, user } = comes(harness, credential({ peers: ['8.8.8.0/24', '8.8.4.0/24', '10.0.0.0/8'] }))
  const codes = ['8.8.8.8:1', '9.9.9.9:1', '8.8.4.4:1', '10.0.0.1:1'].map((peer) =>
    permit(client, user, peer),
  )
  assert.deepEqual(codes, [0, 403, 403, 403])
  assert.equal(harness.server.counters.peerRules.credential, 1)
})

const MEDIA = { name: 'media', mode: 'private' as const, allow: ['10.1.0.0/16'] }

test('the named peer policy stands in place of the relay’s, and what the relay denies stays denied', () => {
  const harness = relay({ peerPolicies: [MEDIA], peers: { deny: ['10.1.9.0/24'] } })
  const { client, user } = comes(harness, credential({ peerPolicy: 'media' }))
  const codes = ['10.1.0.1:1', '8.8.8.8:1', '10.1.9.1:1'].map((peer) => permit(client, user, peer))
  assert.deepEqual(codes, [0, 403, 403])
  assert.equal(permit(comes(harness, credential()).client, credential(), '10.1.0.1:1'), 403)
})

test('a policy that the relay does not have makes the credential worth nothing: 403', () => {
  assert.equal(codeOf(relay(), credential({ peerPolicy: 'media' })), 403)
})

test('a policy that changes holds at once for those who live by it, and one that goes leaves them nobody', () => {
  const harness = relay({ peerPolicies: [MEDIA] })
  const { client, user } = comes(harness, credential({ peerPolicy: 'media' }))
  assert.equal(permit(client, user, '10.1.0.1:5000'), 0)
  assert.ok(client.send('10.1.0.1:5000', 'x'))
  const put = (peerPolicies: RelayConfigInput['peerPolicies']) =>
    harness.server.updateConfig(
      turnServerConfig(relayConfigFor({ credentials: { users: [USER], keys: KEYS }, peerPolicies })),
    )
  put([{ ...MEDIA, allow: ['10.2.0.0/16'] }])
  assert.equal(client.send('10.1.0.1:5000', 'x'), undefined)
  assert.deepEqual([permit(client, user, '10.2.0.1:5000'), permit(client, user, '10.1.0.1:5000')], [0, 403])
  put([])
  assert.equal(client.send('10.2.0.1:5000', 'x'), undefined)
  assert.equal(permit(client, user, '8.8.8.8:5000'), 403)
})

test('a known and an unknown key of the ring cost the same work, as a wrong password does', () => {
  const work = [credential({}, 'wrong'), credential({ keyId: 'k9' }), credential({ keyId: 'k2' })].map(
    (user) => {
      let macs = 0
      const crypto = {
        ...nodeCrypto,
        hmacSha256: (key: Uint8Array, data: Uint8Array) => {
          macs++
          return nodeCrypto.hmacSha256(key, data)
        },
        hmacSha1: (key: Uint8Array, data: Uint8Array) => {
          macs++
          return nodeCrypto.hmacSha1(key, data)
        },
      }
      const client = new TurnHarness({ credentials: { keys: KEYS } }, { crypto }).client()
      client.nonce = client.ask(METHOD.Allocate)?.nonce
      const before = macs
      assert.equal(client.allocate(undefined, { user })?.code, 401)
      return macs - before
    },
  )
  assert.equal(new Set(work).size, 1, work.join())
})

test('a name that is written twice in peerPolicies is refused', () => {
  assert.throws(() => relayConfigFor({ peerPolicies: [MEDIA, MEDIA] }), /stands there twice/)
})

function permit(
  client: ReturnType<TurnHarness['client']>,
  user: typeof USER,
  peer: string,
): number | undefined {
  const attributes = (writer: StunWriter) =>
    void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
  return client.request(METHOD.CreatePermission, attributes, { user })?.code
}
