import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '../io/node-crypto.ts'
import { Credentials } from './credentials.ts'

const make = (options: Partial<ConstructorParameters<typeof Credentials>[1]>) =>
  new Credentials(nodeCrypto, { realm: 'r', users: [], keys: [], ...options })
const KEYS = [
  { id: 'k2', secret: 'new' },
  { id: 'k1', secret: 'old' },
]

test('a TURN REST username has two candidates for every key of the ring, HMAC-SHA1 first, and its user part counts for quotas', () => {
  const identity = make({ keys: KEYS }).identify('2000:carol', 1000)
  assert.deepEqual([identity.user, identity.standing], ['carol', 'valid'])
  assert.deepEqual(
    [...identity.candidates].map(({ keyId }) => keyId),
    ['k2', 'k1', 'k2', 'k1'],
  )
})

test('TURN REST credentials without a user part do not share one quota', () => {
  const credentials = make({ keys: KEYS })
  assert.notEqual(credentials.identify('2000', 1000).user, credentials.identify('2001:', 1000).user)
})

const STANDINGS: readonly [username: string, standing: string][] = [
  ['1001:carol', 'valid'],
  ['1000:carol', 'expired'],
  ['carol', 'unknown'],
  ['alice', 'valid'],
  ['ALICE', 'unknown'],
  ['', 'unknown'],
]
for (const [username, standing] of STANDINGS) {
  test(`"${username}" is ${standing}, and there is work to do for it`, () => {
    const identity = make({ keys: KEYS, users: [{ username: 'alice', password: 'x' }] }).identify(
      username,
      1000,
    )
    assert.equal(identity.standing, standing)
    assert.ok([...identity.candidates].length > 0)
  })
}

test('RFC 8265 §4.2: a configured name is prepared as clients prepare theirs', () => {
  const credentials = make({ users: [{ username: 'ju\u0308rgen', password: 'x' }] })
  assert.equal(credentials.identify('j\u00fcrgen', 1000).standing, 'valid')
})

for (const [username, password] of [
  ['', 'x'],
  ['alice', ''],
  ['a\u0000b', 'x'],
] as const) {
  test(`the user ${JSON.stringify(username)} with the password ${JSON.stringify(password)} is refused`, () => {
    assert.throws(() => make({ users: [{ username, password }] }), /credentials\.users/)
  })
}
