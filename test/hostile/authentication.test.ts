import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import type { ServerCrypto } from '../../relay/stun/crypto.ts'
import { userhash } from '../../relay/stun/integrity.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import { OFFERED_PASSWORD_ALGORITHMS } from '../../relay/stun/password-algorithm.ts'
import { StunWriter } from '../../relay/stun/writer.ts'
import { HEAD_ROOM_BYTES } from '../../relay/turn/contract.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import { turnServerConfig } from '../../relay/turn/server-config.ts'
import {
  address,
  EPOCH_SECONDS,
  hear,
  REALM,
  relayConfigFor,
  request,
  TurnHarness,
  USER,
} from '../support/turn-harness.ts'

const UDP = (writer: StunWriter) => writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
const PEER = (writer: StunWriter) => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('8.8.8.8:5000'))

/** What someone on the path has seen of a whole call. */
function captured() {
  const harness = new TurnHarness()
  const client = harness.client()
  client.allocate()
  const nonce = client.nonce
  const see = (method: number, attributes: (writer: StunWriter) => unknown) =>
    request(method, { user: USER, nonce, attributes: (writer) => void attributes(writer) })
  const requests = [
    see(METHOD.Allocate, UDP),
    see(METHOD.CreatePermission, PEER),
    see(METHOD.ChannelBind, (writer) => PEER(writer.addChannelNumber(0x4000))),
    see(METHOD.Refresh, (writer) => writer.addUint32(ATTRIBUTE.Lifetime, 0)),
  ]
  return { harness, client, requests }
}

for (const from of ['198.51.100.7:4001', '198.51.100.8:4000', '[2001:db8::7]:4000']) {
  test(`RFC 8489 §9.2.4: a captured call that ${from} replays is answered 438 and changes nothing`, () => {
    const { harness, requests } = captured()
    for (const bytes of requests) {
      assert.equal(harness.fromClient(from, bytes), undefined)
      assert.deepEqual(
        harness.drain().map(({ code }) => code),
        [438],
      )
    }
    const { allocationCount, permissionCount } = harness.server
    assert.deepEqual([allocationCount, permissionCount], [1, 0])
  })
}

test('RFC 8656 §21.1.3: a captured call replayed over a TCP link is answered 438', () => {
  const { harness, requests } = captured()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.9:4000')
  for (const bytes of requests) {
    harness.fromClient('198.51.100.9:4000', bytes, 2)
    assert.equal(harness.drain()[0]?.code, 438)
  }
})

test('RFC 8656 §7.2: what is replayed from the same 5-tuple does no more than it did', () => {
  const { harness, client } = captured()
  const permit = request(METHOD.CreatePermission, {
    user: USER,
    nonce: client.nonce,
    attributes: (writer) => void PEER(writer),
  })
  for (let i = 0; i < 5; i++) {
    harness.fromClient(client.from, permit)
    assert.equal(harness.drain()[0]?.code, 0)
  }
  assert.deepEqual([harness.server.allocationCount, harness.server.permissionCount], [1, 1])
})

test('RFC 8489 §14.7: MESSAGE-INTEGRITY behind FINGERPRINT is not looked at, the message dropped', () => {
  const { harness, client } = captured()
  const bytes = request(METHOD.Refresh, { user: USER, nonce: client.nonce, fingerprint: true })
  const integrity = bytes.slice(bytes.length - 32, bytes.length - 8)
  const swapped = new Uint8Array([...bytes.slice(0, -32), ...bytes.slice(-8), ...integrity])
  harness.fromClient(client.from, swapped)
  assert.deepEqual(harness.drain(), [])
})

const NAMES: readonly [name: string, username: string | Uint8Array][] = [
  ['GHSA-4g7c-p5wg-j4hp: a format string', '%s%s%n%p'],
  ['GHSA-v8hj-2xx7-xmp5: SQL', "' OR 1=1; DROP TABLE turnusers_lt; --"],
  ['a shell command', '$(reboot)`reboot`|reboot'],
  ['lines of a log', 'x\n{"level":30,"msg":"forged"}\r\n'],
  ['NUL', 'alice\u0000'],
  ['a terminal escape', '\u001b[2J\u001b]0;x\u0007'],
  ['text that turns round', '\u202ealice'],
  ['a byte order mark', '\ufeffalice'],
  ['a prototype', '__proto__'],
  ['a property of objects', 'constructor'],
  ['a label of a metric', 'a"}\n# EOF'],
  ['RFC 8265: a private-use character', '\ue000'],
  ['RFC 3629: half of a UTF-8 character', Uint8Array.of(0xc3)],
  ['RFC 3629: an overlong NUL', Uint8Array.of(0xc0, 0x80)],
  ['RFC 3629: a surrogate', Uint8Array.of(0xed, 0xa0, 0x80)],
  ['combining marks that normalisation would multiply', 'a\u0344\u0390\ufdfa'.repeat(40)],
  ['508 bytes', 'x'.repeat(508)],
  ['an expiry that is no number', `${'9'.repeat(13)}9:x`],
  ['an expiry with a sign', `+${EPOCH_SECONDS + 60}:x`],
  ['an expiry in other digits', '٤٥٦:x'],
]
test('a hostile username is refused like any other, and nobody repeats it', () => {
  const harness = new TurnHarness({
    credentials: { users: [USER], keys: [{ id: 'k', secret: 's' }] },
  })
  const client = harness.client()
  client.nonce = client.ask(METHOD.Allocate)?.nonce
  const before = Object.keys(harness.server.counters.refusals)
  for (const [name, username] of NAMES) {
    const bytes = withUsername(username, client.nonce!)
    harness.fromClient(client.from, bytes)
    const [answer] = harness.drain()
    assert.ok(answer?.code === 401 || answer?.code === 400, name)
    const text = typeof username === 'string' ? username : Buffer.from(username).toString('latin1')
    assert.ok(!Buffer.from(answer.bytes).includes(Buffer.from(text)), `${name} in the answer`)
    assert.ok(
      !JSON.stringify(harness.events.at(-1)).includes(JSON.stringify(text).slice(1, -1)),
      `${name} in an event`,
    )
  }
  assert.deepEqual(Object.keys(harness.server.counters.refusals), before)
  assert.equal(client.allocate()?.code, 0)
})

/** An Allocate whose USERNAME is these bytes, under an integrity that nobody's key made. */
function withUsername(username: string | Uint8Array, nonce: string): Uint8Array {
  return request(METHOD.Allocate, {
    user: { username: 'x', password: 'x' },
    nonce,
    attributes: (writer) => {
      writer.addBytes(
        ATTRIBUTE.Username,
        typeof username === 'string' ? new TextEncoder().encode(username) : username,
      )
      UDP(writer)
    },
  })
}

/** How often each piece of cryptography is used from now on. */
function counted(): { crypto: ServerCrypto; work: Map<string, number> } {
  const work = new Map<string, number>()
  const count =
    <A extends unknown[], R>(name: string, call: (...args: A) => R) =>
    (...args: A): R => {
      work.set(name, (work.get(name) ?? 0) + 1)
      return call(...args)
    }
  const crypto = {
    ...nodeCrypto,
    md5: count('md5', nodeCrypto.md5),
    sha256: count('sha256', nodeCrypto.sha256),
    hmacSha1: count('hmacSha1', nodeCrypto.hmacSha1),
    hmacSha256: count('hmacSha256', nodeCrypto.hmacSha256),
    equal: count('equal', nodeCrypto.equal),
  }
  return { crypto, work }
}

type Signs = (username: string, nonce: string) => Uint8Array
const wrongly: Signs = (username, nonce) =>
  request(METHOD.Allocate, { user: { username, password: 'wrong' }, nonce, attributes: (w) => void UDP(w) })
/** As a client that chose SHA-256 of what it was offered, its name in the open or hashed. */
const wronglyBySha256 =
  (hashed: boolean): Signs =>
  (username, nonce) => {
    const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, new Uint8Array(12))
    UDP(writer)
    if (hashed) writer.addBytes(ATTRIBUTE.Userhash, userhash(nodeCrypto, username, REALM))
    else writer.addText(ATTRIBUTE.Username, username)
    writer.addText(ATTRIBUTE.Realm, REALM).addText(ATTRIBUTE.Nonce, nonce)
    writer.addBytes(ATTRIBUTE.PasswordAlgorithms, OFFERED_PASSWORD_ALGORITHMS)
    writer.addUint32(ATTRIBUTE.PasswordAlgorithm, 0x0002_0000)
    return writer.finish({ sha256Key: new Uint8Array(32), crypto: nodeCrypto })
  }

/** `compares`: how often secrets, of nonce, offer and integrity, are compared, always in constant time. */
const SIGNATURES: readonly [name: string, offerSha256: boolean, signs: Signs, compares: number][] = [
  ['MESSAGE-INTEGRITY', false, wrongly, 2],
  ['MESSAGE-INTEGRITY and a stale nonce', false, (username) => wrongly(username, 'x'), 1],
  ['MESSAGE-INTEGRITY-SHA256', true, wronglyBySha256(false), 3],
  ['USERHASH', true, wronglyBySha256(true), 3],
]
for (const [name, offerSha256, signs, compares] of SIGNATURES) {
  test(`RFC 8489 §16.1: by ${name}, users that exist and users that do not cost the same work`, () => {
    const { crypto, work } = counted()
    const credentials = { users: [USER], offerSha256 }
    const server = new TurnServer({ config: turnServerConfig(relayConfigFor({ credentials })), crypto })
    server.addLink({ id: 1, transport: 'udp', local: address('192.0.2.1:3478'), remote: undefined })
    const ask = (bytes: Uint8Array) => {
      const buffer = new Uint8Array(HEAD_ROOM_BYTES + bytes.length + 4)
      buffer.set(bytes, HEAD_ROOM_BYTES)
      work.clear()
      server.handleClientData(1, address('198.51.100.7:4000'), buffer, HEAD_ROOM_BYTES, bytes.length, 1000)
      for (let output = server.nextOutput(); output; output = server.nextOutput()) {
        if (output.kind === 'transmit') return hear(output.bytes)
      }
      return undefined
    }
    const nonce = ask(request(METHOD.Allocate, { attributes: (w) => void UDP(w) }))!.nonce!
    const costOf = (username: string) => {
      const code = ask(signs(username, nonce))?.code
      return { code, work: Object.fromEntries(work) }
    }
    const known = costOf(USER.username)
    assert.deepEqual([known.code, known.work.equal], [401, compares])
    assert.deepEqual(costOf('mallo'), known)
    assert.ok((known.work.hmacSha1 ?? 0) + (known.work.hmacSha256 ?? 0) > 1)
  })
}
