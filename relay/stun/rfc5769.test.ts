import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto as crypto } from '../io/node-crypto.ts'
import { TransportAddress } from './address.ts'
import { formatAddress } from './address-text.ts'
import { ATTRIBUTE } from './attribute-types.ts'
import { readText, readXorAddress } from './attributes.ts'
import { longTermKey, longTermKeySha256, opaqueString, shortTermKey, userhash } from './integrity.ts'
import { CLASS, METHOD } from './methods.ts'
import { StunReader } from './reader.ts'
import { StunWriter } from './writer.ts'

/** The four messages of RFC 5769. */
const REQUEST =
  '000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff' +
  '80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249' +
  'c1b571a280280004e57a3bcf'
const IPV4_RESPONSE =
  '0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643' +
  '000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96'
const IPV6_RESPONSE =
  '010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa' +
  'a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c'
const LONG_TERM_REQUEST =
  '000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b900000015001c' +
  '662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f72670000080014' +
  'f67024656dd64a3e02b8e0712e85c9a28ca89666'

const PASSWORD = 'VOkJxbRl1RmTxUk/WvJxBt'
const USER = '\u30de\u30c8\u30ea\u30c3\u30af\u30b9'

test('the sample request of RFC 5769 §2.1', () => {
  const reader = read(REQUEST)
  assert.equal(reader.method, METHOD.Binding)
  assert.equal(reader.messageClass, CLASS.Request)
  assert.equal(readText(reader, reader.find(ATTRIBUTE.Software), 763), 'STUN test client')
  assert.equal(readText(reader, reader.find(ATTRIBUTE.Username), 508), 'evtj:h6vY')
  assert.ok(reader.verifyIntegrity(shortTermKey(PASSWORD), crypto))
  assert.ok(reader.hasFingerprint)
})

test('the sample IPv4 response of RFC 5769 §2.2', () => {
  assert.equal(mappedAddress(IPV4_RESPONSE), '192.0.2.1:32853')
})

test('the sample IPv6 response of RFC 5769 §2.3', () => {
  assert.equal(mappedAddress(IPV6_RESPONSE), '[2001:db8:1234:5678:11:2233:4455:6677]:32853')
})

test('the sample request with long-term authentication of RFC 5769 §2.4, read and written', () => {
  const reader = read(LONG_TERM_REQUEST)
  const key = longTermKey(crypto, USER, 'example.org', 'TheMatrIX')
  assert.equal(readText(reader, reader.find(ATTRIBUTE.Username), 508), USER)
  assert.ok(reader.verifyIntegrity(key, crypto))
  assert.equal(reader.verifyIntegrity(longTermKey(crypto, USER, 'example.org', 'other'), crypto), false)
  const written = new StunWriter()
    .start(METHOD.Binding, CLASS.Request, reader.copyTransactionId())
    .addText(ATTRIBUTE.Username, USER)
    .addText(ATTRIBUTE.Nonce, 'f//499k954d6OL34oL9FSTvy64sA')
    .addText(ATTRIBUTE.Realm, 'example.org')
    .finish({ integrityKey: key, crypto })
  assert.equal(Buffer.from(written).toString('hex'), LONG_TERM_REQUEST)
})

test('the key of RFC 8489 §9.2.2', () => {
  const key = longTermKey(crypto, 'user', 'realm', 'pass')
  assert.equal(Buffer.from(key).toString('hex'), '8493fbc53ba582fb4c044c456bdc40eb')
})

test('SHA-256 key and userhash are the digests that RFC 8489 §18.5.1.2 and §14.4 name', () => {
  const digest = (text: string) => crypto.sha256(new TextEncoder().encode(text))
  assert.deepEqual(longTermKeySha256(crypto, 'user', 'realm', 'pass'), digest('user:realm:pass'))
  assert.deepEqual(userhash(crypto, 'user', 'realm'), digest('user:realm'))
})

test('OpaqueString maps spaces, composes, and refuses what FreeformClass does not hold', () => {
  assert.equal(opaqueString('Correct Horse Battery Staple'), 'Correct Horse Battery Staple')
  assert.equal(opaqueString('foo\u1680bar'), 'foo bar')
  assert.equal(opaqueString('A\u030a'), '\u00c5')
  assert.equal(opaqueString(''), undefined)
  assert.equal(opaqueString('my cat is a \tby'), undefined)
  assert.equal(opaqueString('\u0000'), undefined)
})

function mappedAddress(hex: string): string {
  const reader = read(hex)
  assert.equal(reader.messageClass, CLASS.Success)
  assert.equal(readText(reader, reader.find(ATTRIBUTE.Software), 763), 'test vector')
  assert.ok(reader.verifyIntegrity(shortTermKey(PASSWORD), crypto))
  assert.ok(reader.hasFingerprint)
  const address = new TransportAddress()
  assert.ok(readXorAddress(reader, reader.find(ATTRIBUTE.XorMappedAddress), address))
  return formatAddress(address)
}

function read(hex: string): StunReader {
  const reader = new StunReader()
  const bytes = Uint8Array.from(Buffer.from(hex, 'hex'))
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}
