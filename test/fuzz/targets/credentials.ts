import assert from 'node:assert/strict'
import {
  formatSignedUsername,
  isSignedUsername,
  parseSignedUsername,
} from '../../../relay/api/signed-credential.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { Credentials } from '../../../relay/turn/credentials.ts'
import { ThirdParty, tokenRemainingSeconds } from '../../../relay/turn/third-party.ts'
import type { Target } from '../target.ts'

const NOW_SECONDS = 1_800_000_000
const USERNAMES = [
  '1900000000:tf1?k=k1&t=acme&u=alice%40example.org&a=4&ta=200&b=1250000&p=media&n=203.0.113.0%2F24,2001%3Adb8%3A%3A%2F32&r=eu',
  '1900000000:tf1?k=k1&u=a',
  '1900000000:alice',
  'alice',
]
const WORDS =
  'k= t= u= a= ta= b= p= n= r= & , %2F %00 %zz tf1? __proto__= 65536 1e9 -1 0x1 ::/0 0.0.0.0/0'.split(' ')
const MAC_KEY_BYTES_MIN = 20
const MAC_KEY_BYTES_MAX = 64
const NONCE_BYTES = 12
const TAG_BYTES = 16

const credentials = new Credentials(nodeCrypto, {
  realm: 'r',
  users: [{ username: 'alice', password: 'x' }],
  keys: [{ id: 'k1', secret: 's' }],
})
/** Opens whatever it is given, so that what is inside a token is reached. */
const thirdParty = new ThirdParty(
  { ...nodeCrypto, openAesGcm: (_key, nonce, _data, sealed) => opened(nonce, sealed) },
  { serverName: 'turn', keys: [{ id: 'north', key: new Uint8Array(32) }] },
)

/** What a stranger may name himself and show: the first byte tells usernames from tokens. */
export const credentialsTarget: Target = {
  code: /\/relay\/(api\/(signed|rest)-credential|turn\/(credentials|third-party)|stun\/access-token)/,
  seeds: [
    ...USERNAMES.map((text) => Uint8Array.of(0, ...bytes(text))),
    Uint8Array.of(1, 0, 12, ...new Uint8Array(12), 0, 20, ...new Uint8Array(48)),
  ],
  dictionary: WORDS.map(bytes),
  run(input) {
    const rest = input.subarray(1)
    if ((input[0] ?? 0) % 2 === 1) checkToken(rest)
    else checkUsername(new TextDecoder().decode(rest))
    return undefined
  },
}

function checkUsername(username: string): void {
  const { standing, user, candidates, claims } = credentials.identify(username, NOW_SECONDS)
  assert.ok([...candidates].length > 0 && user === (claims?.user ?? user))
  const read = parseSignedUsername(username)
  if (!read) {
    assert.ok(!isSignedUsername(username) || standing === 'unknown')
    return
  }
  const again = written(read)
  if (again !== undefined) assert.deepEqual(parseSignedUsername(again), read)
}

/** Escapes may make it longer than a username can be. */
function written(claims: NonNullable<ReturnType<typeof parseSignedUsername>>): string | undefined {
  try {
    return formatSignedUsername(claims)
  } catch (error) {
    assert.match(String(error), /more than 508 bytes/)
    return undefined
  }
}

function checkToken(token: Uint8Array): void {
  const open = thirdParty.open('north', token)
  if (!open) return
  const { macKey, timestampSeconds, lifetimeSeconds } = open
  assert.ok(macKey.length >= MAC_KEY_BYTES_MIN && macKey.length <= MAC_KEY_BYTES_MAX)
  assert.ok(timestampSeconds >= 0 && lifetimeSeconds >= 0 && lifetimeSeconds < 2 ** 32)
  assert.ok(Number.isFinite(tokenRemainingSeconds(open, NOW_SECONDS)))
}

function opened(nonce: Uint8Array, sealed: Uint8Array): Uint8Array {
  assert.ok(nonce.length === NONCE_BYTES && sealed.length > TAG_BYTES)
  return sealed.subarray(0, -TAG_BYTES)
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
