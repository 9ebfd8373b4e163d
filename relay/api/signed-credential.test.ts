import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CredentialClaims,
  formatSignedUsername,
  isSignedUsername,
  parseSignedUsername,
  signedPassword,
  signingKey,
} from './signed-credential.ts'

const MEANS = {
  hmacSha256: (key: Uint8Array, data: Uint8Array) =>
    new Uint8Array(createHmac('sha256', key).update(data).digest()),
}
const CLAIMS: CredentialClaims = {
  expiresUnixSeconds: 1_900_000_000,
  keyId: 'k1',
  user: 'alice@example.org',
  tenant: 'acme',
  allocations: 4,
  tenantAllocations: 200,
  bytesPerSecond: 1_250_000,
  peerPolicy: 'media',
  peers: ['203.0.113.0/24', '2001:db8::/32'],
  region: 'eu-west',
}
const USERNAME =
  '1900000000:tf1?k=k1&t=acme&u=alice%40example.org&a=4&ta=200&b=1250000&p=media&n=203.0.113.0%2F24,2001%3Adb8%3A%3A%2F32&r=eu-west'

test('the test vector of the documentation', () => {
  assert.equal(formatSignedUsername(CLAIMS), USERNAME)
  assert.equal(
    signedPassword(MEANS, signingKey(MEANS, 'example secret'), USERNAME),
    'LUvVxL4Fs2YuvseA/G45G3/bCLulXlwQ8MoFCrOMUP0=',
  )
})

test('what is written is read again, whatever the names', () => {
  const name = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 30 })
    .filter((text) => text.isWellFormed() && !/\p{Cc}/u.test(text))
  const claims = fc.record(
    {
      expiresUnixSeconds: fc.integer({ min: 0, max: 4_000_000_000 }),
      keyId: name,
      user: name,
      tenant: name,
      allocations: fc.integer({ min: 1, max: 65_536 }),
      bytesPerSecond: fc.integer({ min: 1, max: 100_000_000_000 }),
      peers: fc.constantFrom(['192.0.2.1'], ['::1', '10.0.0.0/8']),
    },
    { requiredKeys: ['expiresUnixSeconds', 'keyId', 'user'] },
  )
  fc.assert(
    fc.property(claims, (written) => {
      let username: string
      try {
        username = formatSignedUsername(written)
      } catch (error) {
        assert.match(String(error), /more than 508 bytes/)
        return
      }
      const read = parseSignedUsername(username)
      assert.deepEqual(JSON.parse(JSON.stringify(read)), { ...written })
    }),
  )
})

const FOREIGN: readonly [name: string, username: string][] = [
  ['a plain TURN REST name', '1900000000:alice'],
  ['no expiry', 'tf1?k=k1&u=alice'],
  ['no key', '1900000000:tf1?u=alice'],
  ['no user', '1900000000:tf1?k=k1'],
  ['a control character in a name', '1900000000:tf1?k=k1&u=a%00b'],
  ['an empty user', '1900000000:tf1?k=k1&u='],
  ['a claim that is not known', '1900000000:tf1?k=k1&u=alice&x=1'],
  ['a claim twice', '1900000000:tf1?k=k1&u=alice&a=1&a=60'],
  ['a claim of an object', '1900000000:tf1?k=k1&u=alice&__proto__=1'],
  ['a claim without a value', '1900000000:tf1?k=k1&u=alice&a'],
  ['no allocations', '1900000000:tf1?k=k1&u=alice&a=0'],
  ['a part of an allocation', '1900000000:tf1?k=k1&u=alice&a=1.5'],
  ['allocations without end', '1900000000:tf1?k=k1&u=alice&a=Infinity'],
  ['no bytes', '1900000000:tf1?k=k1&u=alice&b='],
  ['a policy of another alphabet', '1900000000:tf1?k=k1&u=alice&p=A'],
  ['a network that is none', '1900000000:tf1?k=k1&u=alice&n=10.0.0.0%2F33'],
  ['nine networks', `1900000000:tf1?k=k1&u=alice&n=${Array(9).fill('10.0.0.1').join(',')}`],
  ['a broken escape', '1900000000:tf1?k=k1&u=%zz'],
]
for (const [name, username] of FOREIGN) {
  test(`no claims are read from ${name}`, () => assert.equal(parseSignedUsername(username), undefined))
}

test('a name in the form is told from others, whatever its claims', () => {
  assert.ok(isSignedUsername('1900000000:tf1?'))
  for (const username of ['1900000000:tf1', '1900000000:', '1900000000', 'tf1?', '']) {
    assert.ok(!isSignedUsername(username), username)
  }
})

test('RFC 8489 §14.3: claims that do not fit USERNAME are refused with a reason, as those out of bounds are', () => {
  const long = { ...CLAIMS, tenant: 'ä'.repeat(100) }
  assert.throws(() => formatSignedUsername(long), /more than 508 bytes/)
  assert.throws(() => formatSignedUsername({ ...CLAIMS, allocations: 0 }), /the claim a/)
})
