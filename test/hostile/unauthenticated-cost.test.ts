import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import { TransportAddress } from '../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import { StunWriter } from '../../relay/stun/writer.ts'
import { HEAD_ROOM_BYTES } from '../../relay/turn/contract.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import { turnServerConfig } from '../../relay/turn/server-config.ts'
import { address, relayConfigFor, request, TurnHarness } from '../support/turn-harness.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const SPOOFED = 100_000
const HEAP_BYTES_MAX = 262_144

test('RFC 8656 §21.3.1: 100,000 spoofed Allocates and Bindings, each answered, leave the heap as it was', (t) => {
  const server = new TurnServer({ config: turnServerConfig(relayConfigFor()), crypto: nodeCrypto })
  server.addLink({ id: 1, transport: 'udp', local: address('192.0.2.1:3478'), remote: undefined })
  const requests = [
    request(METHOD.Binding),
    request(METHOD.Allocate, {
      attributes: (writer) => void writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17),
    }),
  ].map((bytes) => {
    const buffer = new Uint8Array(HEAD_ROOM_BYTES + bytes.length + 4)
    buffer.set(bytes, HEAD_ROOM_BYTES)
    return { buffer, length: bytes.length }
  })
  const from = new TransportAddress()
  let answers = 0
  const flood = (first: number, count: number) => {
    for (let i = first; i < first + count; i++) {
      const { buffer, length } = requests[i % 2]!
      from.set4(0x0b000000 + i * 7, 1024 + (i % 60_000))
      server.handleClientData(1, from, buffer, HEAD_ROOM_BYTES, length, i)
      while (server.nextOutput()) answers++
    }
  }
  flood(0, 5000)
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  flood(5000, SPOOFED)
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  t.diagnostic(`${grown} bytes of heap after ${SPOOFED} requests`)
  assert.equal(answers, SPOOFED + 5000)
  assert.equal(server.allocationCount, 0)
  assert.equal(server.pollTimeout(), Number.POSITIVE_INFINITY)
  assert.ok(grown < HEAP_BYTES_MAX, `${grown} bytes`)
})

const STRANGE: readonly [name: string, bytes: Uint8Array, most: number][] = [
  ['a Binding request', request(METHOD.Binding), 1.6],
  ['a Binding request with FINGERPRINT', request(METHOD.Binding, { fingerprint: true }), 1.6],
  [
    'a Binding request with 100 unknown attributes',
    request(METHOD.Binding, {
      attributes: (writer) => {
        for (let i = 0; i < 100; i++) writer.addFlag(0x7000 + i)
      },
    }),
    1.6,
  ],
  [
    'an Allocate as browsers send it',
    request(METHOD.Allocate, {
      attributes: (writer) => void writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17),
    }),
    2.6,
  ],
  [
    'a CreatePermission without credentials',
    request(METHOD.CreatePermission, {
      attributes: (writer) => void writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address('8.8.8.8:1')),
    }),
    2.6,
  ],
  ['a bare header, which no client sends', request(METHOD.Refresh), 1.6],
]
for (const [name, bytes, most] of STRANGE) {
  test(`RFC 8489 §16.1.2: ${name} is answered with at most ${most} times its bytes, for an IPv4 source`, () => {
    const harness = new TurnHarness()
    harness.fromClient('198.51.100.7:4000', bytes)
    const [answer, ...more] = harness.drain()
    assert.ok(answer)
    assert.deepEqual(more, [])
    assert.ok(answer.bytes.length <= most * bytes.length, `${answer.bytes.length} for ${bytes.length}`)
  })
}

test('RFC 8489 §16.2: two relays that are spoofed at each other fall silent at once', () => {
  const [left, right] = [new TurnHarness(), new TurnHarness()]
  const strange = [
    request(METHOD.Binding),
    request(METHOD.Allocate),
    request(METHOD.Refresh, { user: { username: 'x', password: 'x' }, nonce: 'x' }),
    request(METHOD.Binding, { attributes: (writer) => void writer.addFlag(0x7001) }),
    request(METHOD.Connect),
  ]
  let answered = 0
  for (const bytes of strange) {
    left.fromClient('192.0.2.2:3478', bytes)
    for (const answer of left.drain()) {
      answered++
      assert.equal(right.fromClient('192.0.2.1:3478', answer.bytes), undefined)
      assert.deepEqual(right.drain(), [])
    }
  }
  assert.ok(answered >= 4)
})

test('RFC 8489 §16.1.2: a request that is longer than any needs to be costs no integrity and gets no answer', () => {
  const harness = new TurnHarness()
  const answersTo = (bytes: number): number => {
    const writer = new StunWriter(8192).start(METHOD.Allocate, CLASS.Request, nodeCrypto.randomBytes(12))
    const value = new Uint8Array(bytes - 24)
    harness.fromClient('198.51.100.7:4000', writer.addBytes(ATTRIBUTE.Software, value).finish())
    return harness.drain().length
  }
  assert.equal(answersTo(4096), 1)
  assert.equal(answersTo(4100), 0)
  assert.equal(harness.server.counters.drops.oversized, 1)
})

test('RFC 8489 §6.3: no class but a request is ever answered, whatever is in it', () => {
  const harness = new TurnHarness()
  for (const messageClass of [CLASS.Indication, CLASS.Success, CLASS.Error]) {
    for (let method = 0; method < 0x20; method++) {
      const writer = new StunWriter().start(method, messageClass, new Uint8Array(12))
      harness.fromClient('198.51.100.7:4000', writer.addErrorCode(401).addText(ATTRIBUTE.Realm, 'x').finish())
      assert.deepEqual(harness.drain(), [])
    }
  }
})
