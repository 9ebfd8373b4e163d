import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REALM, TurnHarness } from '../../test/support/turn-harness.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunWriter } from '../stun/writer.ts'

/** What a client that prepares its strings by RFC 8265 §4.2 sends and signs with: nothing here does it for it. */
interface Prepared {
  readonly username: Uint8Array
  readonly password: string
}

const utf8 = (text: string) => new TextEncoder().encode(text)

function allocate(users: { username: string; password: string }[], { username, password }: Prepared) {
  const client = new TurnHarness({ credentials: { users } }).client()
  const nonce = client.ask(METHOD.Allocate)!.nonce!
  const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, nodeCrypto.randomBytes(12))
  writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17).addBytes(ATTRIBUTE.Username, username)
  writer.addText(ATTRIBUTE.Realm, REALM).addText(ATTRIBUTE.Nonce, nonce)
  const integrityKey = nodeCrypto.md5(Buffer.concat([username, utf8(`:${REALM}:${password}`)]))
  client.harness.fromClient(client.from, writer.finish({ integrityKey, crypto: nodeCrypto }))
  return client.harness.drain()[0]?.code
}

const PREPARED: readonly [name: string, username: string, password: string, sent: string, signed: string][] =
  [
    ['letters of any script', 'マトリックス', 'pässwörd', 'マトリックス', 'pässwörd'],
    ['decomposed letters as composed ones', 'ju\u0308rgen', 'pa\u0308ss', 'j\u00fcrgen', 'p\u00e4ss'],
    ['spaces of other scripts as U+0020', 'a\u00a0b', 'c\u2003d', 'a b', 'c d'],
    ['upper and lower case as two names', 'Alice', 'Secret', 'Alice', 'Secret'],
    ['compatibility characters as they are', '\u2126 \ufb01', 'x', '\u03a9 \ufb01', 'x'],
  ]
for (const [name, username, password, sent, signed] of PREPARED) {
  test(`RFC 8265 §4.2, RFC 8489 §9.2.2: the server takes ${name}`, () => {
    assert.equal(allocate([{ username, password }], { username: utf8(sent), password: signed }), 0)
  })
}

test('RFC 8265 §4.2: names that differ in case are different, and a name is not guessed from another form', () => {
  const users = [{ username: 'Alice', password: 'x' }]
  assert.equal(allocate(users, { username: utf8('alice'), password: 'x' }), 401)
  assert.equal(allocate(users, { username: utf8('Ａlice'), password: 'x' }), 401)
})

const MALFORMED: readonly [name: string, username: Uint8Array][] = [
  ['a lone continuation byte', Uint8Array.of(0x61, 0x80)],
  ['an overlong form', Uint8Array.of(0xc0, 0xaf)],
  ['half a surrogate pair', Uint8Array.of(0xed, 0xa0, 0x80)],
  ['a cut sequence', Uint8Array.of(0xe2, 0x82)],
  ['no byte at all', new Uint8Array(0)],
]
for (const [name, username] of MALFORMED) {
  test(`RFC 8489 §14.3: USERNAME of ${name} is malformed: 400`, () => {
    assert.equal(allocate([{ username: 'alice', password: 'x' }], { username, password: 'x' }), 400)
  })
}
