import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nodeCrypto as crypto } from '../io/node-crypto.ts'
import { TransportAddress } from './address.ts'
import { ATTRIBUTE } from './attribute-types.ts'
import {
  readAddress,
  readChannelNumber,
  readErrorCode,
  readFirstByte,
  readText,
  readTypeList,
  readUint32Value,
  readXorAddress,
} from './attributes.ts'
import { crc32 } from './crc32.ts'
import { longTermKey, shortTermKey } from './integrity.ts'
import { CLASS, classOf, METHOD, messageType, methodOf } from './methods.ts'
import { ATTRIBUTES_MAX, StunReader } from './reader.ts'
import { FINGERPRINT_XOR } from './wire.ts'
import { StunWriter } from './writer.ts'

const ID = Uint8Array.from([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae])

test('method and class survive the message type', () => {
  for (let method = 0; method < 0x1000; method++) {
    for (const messageClass of Object.values(CLASS)) {
      const type = messageType(method, messageClass)
      assert.ok(type < 0x4000)
      assert.equal(methodOf(type), method)
      assert.equal(classOf(type), messageClass)
    }
  }
})

test('what the writer wrote the reader reads, in any place of any buffer', () => {
  const attribute = fc.tuple(fc.integer({ min: 0x0030, max: 0x7fff }), fc.uint8Array({ maxLength: 40 }))
  fc.assert(
    fc.property(
      fc.nat(0xfff),
      fc.constantFrom(...Object.values(CLASS)),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.array(attribute, { maxLength: 20 }),
      fc.record({ sha1: fc.boolean(), sha256: fc.boolean(), fingerprint: fc.boolean(), shift: fc.nat(50) }),
      (method, messageClass, id, attributes, { sha1, sha256, fingerprint, shift }) => {
        const key = Uint8Array.from([1, 2, 3])
        const writer = new StunWriter().start(method, messageClass, id)
        for (const [type, value] of attributes) writer.addBytes(type, value)
        const bytes = writer.finish({
          integrityKey: sha1 ? key : undefined,
          sha256Key: sha256 ? key : undefined,
          crypto,
          fingerprint,
        })
        const buffer = new Uint8Array(bytes.length + shift + 7).fill(0xee)
        buffer.set(bytes, shift)
        const reader = new StunReader()
        assert.equal(reader.read(buffer, shift, bytes.length), 'ok')
        assert.equal(reader.method, method)
        assert.equal(reader.messageClass, messageClass)
        assert.deepEqual(reader.copyTransactionId(), id)
        attributes.forEach(([type, value], i) => {
          assert.equal(reader.typeAt(i), type)
          assert.deepEqual(Buffer.from(reader.value(i)), Buffer.from(value))
        })
        assert.equal(reader.hasIntegrity, sha1)
        assert.equal(reader.hasIntegritySha256, sha256)
        assert.equal(reader.hasFingerprint, fingerprint)
        assert.equal(reader.verifyIntegrity(key, crypto), sha1)
        assert.equal(reader.verifyIntegritySha256(key, crypto), sha256)
        assert.equal(reader.verifyIntegrity(Uint8Array.from([9]), crypto), false)
        assert.deepEqual(buffer.subarray(shift, shift + bytes.length), bytes)
      },
    ),
  )
})

test('one changed byte breaks the integrity, the fingerprint or the message', () => {
  const key = longTermKey(crypto, 'user', 'realm', 'pass')
  const bytes = new StunWriter()
    .start(METHOD.Allocate, CLASS.Request, ID)
    .addText(ATTRIBUTE.Username, 'user')
    .addFirstByte(ATTRIBUTE.RequestedTransport, 17)
    .finish({ integrityKey: key, sha256Key: key, crypto })
  const reader = new StunReader()
  for (let i = 0; i < bytes.length; i++) {
    const broken = bytes.slice()
    broken[i]! ^= 0x01
    const good =
      reader.read(broken, 0, broken.length) === 'ok' &&
      reader.verifyIntegrity(key, crypto) &&
      reader.verifyIntegritySha256(key, crypto)
    assert.equal(good, false, `byte ${i}`)
  }
})

test('a random datagram is never read past its end and never throws', () => {
  const reader = new StunReader()
  const header = [0x00, 0x03, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (noise, likely) => {
      const bytes = noise.slice()
      if (likely && bytes.length >= 20) {
        bytes.set(header)
        bytes[3] = bytes.length - 20
      }
      if (reader.read(bytes, 0, bytes.length) !== 'ok') return
      for (let i = 0; i < reader.attributeCount; i++) {
        assert.ok(reader.valueOffset(i) + reader.valueLength(i) <= bytes.length)
      }
    }),
    { numRuns: 2000 },
  )
})

test('addresses, xored and not, survive the wire', () => {
  const word = fc.nat(0xffffffff)
  fc.assert(
    fc.property(fc.boolean(), word, word, word, word, fc.nat(65535), (v6, a, b, c, d, port) => {
      const address = new TransportAddress()
      if (v6) address.set6(a, b, c, d, port)
      else address.set4(d, port)
      const reader = read(
        new StunWriter()
          .start(METHOD.Binding, CLASS.Success, ID)
          .addXorAddress(ATTRIBUTE.XorMappedAddress, address)
          .addAddress(ATTRIBUTE.AlternateServer, address)
          .finish(),
      )
      const into = new TransportAddress()
      assert.ok(readXorAddress(reader, 0, into) && into.equals(address))
      assert.ok(readAddress(reader, 1, into.set4(0, 0)) && into.equals(address))
    }),
  )
})

test('typed values survive the wire', () => {
  const reader = read(
    new StunWriter()
      .start(METHOD.Allocate, CLASS.Error, ID)
      .addErrorCode(438, 'Stale Nonce')
      .addUint32(ATTRIBUTE.Lifetime, 0xffffffff)
      .addFirstByte(ATTRIBUTE.RequestedTransport, 17)
      .addChannelNumber(0x4abc)
      .addText(ATTRIBUTE.Realm, 'turn.example.org')
      .addTypeList([0x7001, 0x7002, 0x7003])
      .addFlag(ATTRIBUTE.DontFragment)
      .addEvenPort(true)
      .finish(),
  )
  assert.deepEqual(readErrorCode(reader, 0), { code: 438, reason: 'Stale Nonce' })
  assert.equal(readUint32Value(reader, 1), 0xffffffff)
  assert.equal(readFirstByte(reader, 2), 17)
  assert.equal(readChannelNumber(reader, 3), 0x4abc)
  assert.equal(readText(reader, 4, 763), 'turn.example.org')
  assert.deepEqual(readTypeList(reader, 5), [0x7001, 0x7002, 0x7003])
  assert.ok(reader.has(ATTRIBUTE.DontFragment))
  assert.deepEqual([...reader.value(reader.find(ATTRIBUTE.EvenPort))], [0x80])
})

test('values of the wrong length or form are refused, not guessed', () => {
  const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, ID)
  const values: [number, number[]][] = [
    [ATTRIBUTE.XorPeerAddress, [0, 0, 0, 0, 0, 0, 0, 0]],
    [ATTRIBUTE.XorPeerAddress, [0, 3, 0, 0, 0, 0, 0, 0]],
    [ATTRIBUTE.XorPeerAddress, [0, 2, 0, 0, 0, 0, 0, 0]],
    [ATTRIBUTE.XorPeerAddress, [0, 1, 0, 0, 0, 0, 0]],
    [ATTRIBUTE.XorPeerAddress, [0]],
    [ATTRIBUTE.XorPeerAddress, []],
  ]
  for (const [type, value] of values) writer.addBytes(type, Uint8Array.from(value))
  writer.addBytes(ATTRIBUTE.Lifetime, Uint8Array.from([0, 0, 1]))
  writer.addBytes(ATTRIBUTE.ErrorCode, Uint8Array.from([0, 0, 7, 1]))
  writer.addBytes(ATTRIBUTE.Username, Uint8Array.from([0xff, 0xfe]))
  writer.addBytes(ATTRIBUTE.Nonce, new Uint8Array(764))
  const reader = read(writer.finish())
  const into = new TransportAddress().set4(1, 1)
  values.forEach((_, i) => {
    assert.equal(readXorAddress(reader, i, into), false)
  })
  assert.ok(into.equals(new TransportAddress().set4(1, 1)))
  assert.equal(readUint32Value(reader, values.length), undefined)
  assert.equal(readErrorCode(reader, values.length + 1), undefined)
  assert.equal(readText(reader, values.length + 2, 508), undefined)
  assert.equal(readText(reader, values.length + 3, 763), undefined)
})

test('of duplicates the first counts, the others stay reachable', () => {
  const reader = read(
    new StunWriter()
      .start(METHOD.Allocate, CLASS.Request, ID)
      .addUint32(ATTRIBUTE.Lifetime, 1)
      .addUint32(ATTRIBUTE.Lifetime, 2)
      .finish(),
  )
  const first = reader.find(ATTRIBUTE.Lifetime)
  assert.equal(readUint32Value(reader, first), 1)
  assert.equal(readUint32Value(reader, reader.find(ATTRIBUTE.Lifetime, first)), 2)
  assert.equal(reader.find(ATTRIBUTE.Lifetime, first + 1), -1)
})

test('what follows the integrity attributes is ignored, but for SHA-256 and FINGERPRINT', () => {
  const key = shortTermKey('secret')
  const signed = new StunWriter()
    .start(METHOD.Allocate, CLASS.Request, ID)
    .addUint32(ATTRIBUTE.Lifetime, 1)
    .finish({ integrityKey: key, crypto })
  const reader = read(append(signed, ATTRIBUTE.XorPeerAddress, [0, 1, 0, 0, 0, 0, 0, 0]))
  assert.equal(reader.has(ATTRIBUTE.XorPeerAddress), false)
  assert.ok(reader.verifyIntegrity(key, crypto))

  const sha = new StunWriter().start(METHOD.Allocate, CLASS.Request, ID).finish({ sha256Key: key, crypto })
  const late = read(append(sha, ATTRIBUTE.MessageIntegrity, new Array(20).fill(0)))
  assert.equal(late.hasIntegrity, false)
  assert.ok(late.verifyIntegritySha256(key, crypto))
})

test('a truncated MESSAGE-INTEGRITY-SHA256 counts down to sixteen bytes, or as many as the caller wants', () => {
  const key = shortTermKey('secret')
  const full = new StunWriter().start(METHOD.Binding, CLASS.Request, ID).finish({ sha256Key: key, crypto })
  for (const bytes of [16, 20, 28]) {
    const cut = full.slice(0, 24 + bytes)
    cut[3] = 4 + bytes
    const covered = cut.slice(0, 20)
    cut[23] = bytes
    cut.set(crypto.hmacSha256(key, covered).subarray(0, bytes), 24)
    const reader = read(cut)
    assert.ok(reader.verifyIntegritySha256(key, crypto))
    assert.equal(reader.verifyIntegritySha256(key, crypto, 32), false)
  }
})

test('unknown comprehension-required attributes are listed once', () => {
  const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, ID)
  for (const type of [0x7001, 0x8070, 0x7001, ATTRIBUTE.Lifetime, 0x0031]) writer.addUint32(type, 0)
  assert.deepEqual(read(writer.finish()).unknownRequired(new Set([ATTRIBUTE.Lifetime])), [0x7001, 0x0031])
})

const good = new StunWriter()
  .start(METHOD.Binding, CLASS.Request, ID)
  .addText(ATTRIBUTE.Software, 'x')
  .finish({ fingerprint: true })
const plain = new StunWriter()
  .start(METHOD.Binding, CLASS.Request, ID)
  .addUint32(ATTRIBUTE.Lifetime, 1)
  .finish()

const BROKEN: [string, Uint8Array, 'malformed' | 'not-stun'][] = [
  ['no bytes', new Uint8Array(0), 'not-stun'],
  ['one byte', good.slice(0, 1), 'not-stun'],
  ['nineteen bytes', good.slice(0, 19), 'not-stun'],
  ['top bits 11', patch(good, 0, 0xc0), 'not-stun'],
  ['top bits 01', patch(good, 0, 0x40), 'not-stun'],
  ['wrong magic cookie', patch(good, 5, 0x13), 'not-stun'],
  ['length not a multiple of four', patch(good, 3, good.length - 21), 'malformed'],
  ['length beyond the datagram', patch(good, 3, good.length - 16), 'malformed'],
  ['length short of the datagram', patch(good, 3, good.length - 24), 'malformed'],
  ['length of 65,532 without a body', patch(patch(good, 2, 0xff), 3, 0xfc), 'malformed'],
  ['attribute past the end', patch(plain, 23, 5), 'malformed'],
  ['attribute of 0xffff bytes', patch(patch(plain, 22, 0xff), 23, 0xff), 'malformed'],
  ['wrong FINGERPRINT', patch(good, good.length - 1, good[good.length - 1]! ^ 1), 'malformed'],
  ['FINGERPRINT that is right but not last', fingerprintFirst(), 'malformed'],
  ['FINGERPRINT of eight bytes', append(plain, ATTRIBUTE.Fingerprint, [0, 0, 0, 0, 0, 0, 0, 0]), 'malformed'],
  [
    'MESSAGE-INTEGRITY of 16 bytes',
    append(plain, ATTRIBUTE.MessageIntegrity, new Array(16).fill(0)),
    'malformed',
  ],
  [
    'MESSAGE-INTEGRITY-SHA256 of 12 bytes',
    append(plain, ATTRIBUTE.MessageIntegritySha256, new Array(12).fill(0)),
    'malformed',
  ],
  [
    'MESSAGE-INTEGRITY-SHA256 of 18 bytes',
    append(plain, ATTRIBUTE.MessageIntegritySha256, new Array(18).fill(0)),
    'malformed',
  ],
  ['more attributes than the limit', flags(ATTRIBUTES_MAX + 1), 'malformed'],
]
for (const [name, bytes, result] of BROKEN) {
  test(`${name}: ${result}, and the next good message is read`, () => {
    const reader = new StunReader()
    assert.equal(reader.read(bytes, 0, bytes.length), result)
    assert.equal(reader.read(good, 0, good.length), 'ok')
  })
}

test('as many attributes as the limit are read', () => {
  assert.equal(read(flags(ATTRIBUTES_MAX)).attributeCount, ATTRIBUTES_MAX)
})

test('the writer refuses what does not fit', () => {
  const writer = new StunWriter(64).start(METHOD.Binding, CLASS.Request, ID)
  assert.throws(() => writer.addBytes(ATTRIBUTE.Data, new Uint8Array(41)), RangeError)
  assert.equal(writer.addBytes(ATTRIBUTE.Data, new Uint8Array(40)).finish().length, 64)
})

test('messages of a writer with slabs share buffers, and none writes over another', () => {
  const writer = new StunWriter(256, 100)
  const texts = ['a'.repeat(20), 'b'.repeat(20), 'c'.repeat(200), 'd', '']
  const messages = texts.map((text) =>
    writer.start(METHOD.Binding, CLASS.Success, ID).addText(ATTRIBUTE.Software, text).finish(),
  )
  const alone = texts.map((text) =>
    new StunWriter().start(METHOD.Binding, CLASS.Success, ID).addText(ATTRIBUTE.Software, text).finish(),
  )
  assert.deepEqual(messages, alone)
  assert.equal(messages[0]!.buffer, messages[1]!.buffer)
})

function read(bytes: Uint8Array): StunReader {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}

function patch(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}

/** `bytes` with one more attribute behind everything, which the writer itself would not write there. */
function append(bytes: Uint8Array, type: number, value: number[]): Uint8Array {
  const size = (value.length + 3) & ~3
  const longer = new Uint8Array(bytes.length + 4 + size)
  longer.set(bytes)
  longer.set([type >> 8, type & 255, value.length >> 8, value.length & 255, ...value], bytes.length)
  longer[2] = (longer.length - 20) >> 8
  longer[3] = (longer.length - 20) & 255
  return longer
}

function fingerprintFirst(): Uint8Array {
  const bytes = append(append(plain, ATTRIBUTE.Fingerprint, [0, 0, 0, 0]), ATTRIBUTE.Software, [])
  const crc = (crc32(bytes, 0, plain.length) ^ FINGERPRINT_XOR) >>> 0
  new DataView(bytes.buffer).setUint32(plain.length + 4, crc)
  return bytes
}

function flags(count: number): Uint8Array {
  const writer = new StunWriter().start(METHOD.Binding, CLASS.Request, ID)
  for (let i = 0; i < count; i++) writer.addFlag(0x9000 + i)
  return writer.finish()
}
