import assert from 'node:assert/strict'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { TransportAddress } from '../../../relay/stun/address.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import {
  readAddress,
  readChannelNumber,
  readErrorCode,
  readFirstByte,
  readText,
  readTypeList,
  readUint32Value,
  readXorAddress,
} from '../../../relay/stun/attributes.ts'
import { crc32 } from '../../../relay/stun/crc32.ts'
import { StunReader } from '../../../relay/stun/reader.ts'
import { FINGERPRINT_XOR, HEADER_BYTES, MAGIC_COOKIE } from '../../../relay/stun/wire.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import { request, USER } from '../../support/turn-harness.ts'
import type { Target } from '../target.ts'

const KEY = new Uint8Array(16).fill(1)
const KNOWN = new Set([ATTRIBUTE.Username, ATTRIBUTE.Nonce, ATTRIBUTE.Realm])

/** The STUN reader: it reads what is there, nothing beside it, changes nothing, and says the same every time. */
export const codec: Target = {
  code: /\/relay\/stun\//,
  seeds: seeds(),
  dictionary: Object.values(ATTRIBUTE).map((type) => Uint8Array.of(type >> 8, type & 255, 0, 4)),
  run(input) {
    const message = repair(input)
    const inZeros = look(message, 0, 7)
    const inOnes = look(message, 0xff, 32)
    assert.deepEqual(inOnes, inZeros, 'what lies beside a message changes how it is read')
  },
}

/** The first byte says how much of what chance gets wrong is put right: header, and FINGERPRINT behind it all. */
function repair(input: Uint8Array): Uint8Array {
  const mode = input[0] ?? 0
  const body = input.slice(1)
  if ((mode & 1) === 0 || body.length < HEADER_BYTES) return body
  const signed = (mode & 2) !== 0
  const whole = new Uint8Array((body.length & ~3) + (signed ? 8 : 0))
  whole.set(body.subarray(0, body.length & ~3))
  const view = new DataView(whole.buffer)
  whole[0]! &= 0x3f
  view.setUint16(2, whole.length - HEADER_BYTES)
  view.setUint32(4, MAGIC_COOKIE)
  if (!signed) return whole
  view.setUint32(whole.length - 8, ATTRIBUTE.Fingerprint * 65_536 + 4)
  view.setUint32(whole.length - 4, crc32(whole, 0, whole.length - 8) ^ FINGERPRINT_XOR)
  return whole
}

function look(message: Uint8Array, around: number, offset: number) {
  const buffer = new Uint8Array(offset + message.length + 8).fill(around)
  buffer.set(message, offset)
  const before = buffer.slice()
  const reader = new StunReader()
  const result = reader.read(buffer, offset, message.length)
  const seen = result === 'ok' ? describe(reader) : []
  if (result === 'ok') rewrite(reader)
  assert.deepEqual(buffer, before, 'reading changed the buffer')
  return { result, seen }
}

function describe(reader: StunReader) {
  const into = new TransportAddress()
  const attributes = Array.from({ length: reader.attributeCount }, (_, i) => {
    assert.ok(reader.valueOffset(i) >= reader.offset + HEADER_BYTES)
    assert.ok(reader.valueOffset(i) + reader.valueLength(i) <= reader.offset + reader.length)
    const xored = readXorAddress(reader, i, into) ? into.clone() : undefined
    return [
      reader.typeAt(i),
      reader.value(i).slice(),
      xored,
      readAddress(reader, i, into) ? into.clone() : undefined,
      readText(reader, i, 763),
      readErrorCode(reader, i),
      readTypeList(reader, i),
      readUint32Value(reader, i),
      readFirstByte(reader, i),
      readChannelNumber(reader, i),
    ]
  })
  const unknown = reader.unknownRequired(KNOWN)
  assert.equal(new Set(unknown).size, unknown.length)
  const verified = [reader.verifyIntegrity(KEY, nodeCrypto), reader.verifyIntegritySha256(KEY, nodeCrypto)]
  return [reader.method, reader.messageClass, reader.hasFingerprint, attributes, unknown, verified]
}

/** What was read and written again, with integrity, is read again and verifies. */
function rewrite(reader: StunReader): void {
  const writer = new StunWriter(8192).start(reader.method, reader.messageClass, reader.copyTransactionId())
  let count = 0
  for (let i = 0; i < reader.attributeCount; i++) {
    const type = reader.typeAt(i)
    if (type === ATTRIBUTE.MessageIntegrity || type === ATTRIBUTE.MessageIntegritySha256) continue
    writer.addBytes(type, reader.value(i))
    count++
  }
  if (count + 2 > 128) return
  const bytes = writer.finish({ integrityKey: KEY, sha256Key: KEY, crypto: nodeCrypto, fingerprint: true })
  const again = new StunReader()
  assert.equal(again.read(bytes, 0, bytes.length), 'ok')
  assert.equal(again.attributeCount, count + 2)
  assert.ok(again.verifyIntegrity(KEY, nodeCrypto) && again.verifyIntegritySha256(KEY, nodeCrypto))
}

function seeds(): Uint8Array[] {
  const messages = [
    new Uint8Array(0),
    request(1, { id: new Uint8Array(12) }),
    request(3, {
      id: new Uint8Array(12),
      user: USER,
      nonce: 'nonce',
      fingerprint: true,
      attributes: (writer) => {
        writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17).addUint32(ATTRIBUTE.Lifetime, 600)
        writer.addChannelNumber(0x4000).addFlag(ATTRIBUTE.DontFragment).addErrorCode(420)
        writer.addXorAddress(ATTRIBUTE.XorPeerAddress, new TransportAddress().set4(0x08080808, 5000))
        writer.addXorAddress(ATTRIBUTE.XorPeerAddress, new TransportAddress().set6(1, 2, 3, 4, 5000))
        writer.addAddress(ATTRIBUTE.AlternateServer, new TransportAddress().set4(0x08080808, 5000))
        writer.addTypeList([1, 2, 3]).addText(ATTRIBUTE.Software, 'x')
      },
    }),
    new StunWriter()
      .start(1, 2, new Uint8Array(12))
      .finish({ integrityKey: KEY, sha256Key: KEY, crypto: nodeCrypto, fingerprint: true }),
  ]
  return messages.flatMap((message) => [0, 1, 3].map((mode) => Uint8Array.of(mode, ...message)))
}
