import assert from 'node:assert/strict'
import { test } from 'node:test'
import { header, localHeader, proxyHeader } from '../io/testing/proxy-frames.ts'
import { formatAddress } from './address-text.ts'
import { PROXY_HEADER_BYTES_MAX, ProxyHeader } from './proxy-header.ts'

const CLIENT = ['198.51.100.7', 4000] as const
const BODY = Buffer.alloc(12)

function read(bytes: Uint8Array, transport: 'stream' | 'datagram' = 'stream') {
  const into = new ProxyHeader()
  const result = into.read(bytes, 0, bytes.length, transport)
  return {
    result,
    relayed: into.relayed,
    source: formatAddress(into.source),
    to: formatAddress(into.destination),
  }
}

test('PROXY v2: client and balancer of both families are read', () => {
  const v4 = proxyHeader({ source: CLIENT, destination: ['203.0.113.1', 443] })
  assert.deepEqual(read(v4), {
    result: 28,
    relayed: true,
    source: '198.51.100.7:4000',
    to: '203.0.113.1:443',
  })
  const v6 = proxyHeader({
    source: ['2001:db8::7', 5000],
    destination: ['2001:db8::1', 3478],
    transport: 'datagram',
  })
  assert.deepEqual(read(v6, 'datagram'), {
    result: 52,
    relayed: true,
    source: '[2001:db8::7]:5000',
    to: '[2001:db8::1]:3478',
  })
})

test('PROXY v2: an IPv4 client written as IPv6 is an IPv4 client (RFC 4291 §2.5.5.2)', () => {
  const mapped = proxyHeader({ source: ['::ffff:198.51.100.7', 9], destination: ['::ffff:203.0.113.1', 443] })
  assert.deepEqual(read(mapped), {
    result: 52,
    relayed: true,
    source: '198.51.100.7:9',
    to: '203.0.113.1:443',
  })
})

test('PROXY v2: LOCAL says nothing of a client, whatever its address block holds', () => {
  assert.deepEqual([read(localHeader()).result, read(localHeader()).relayed], [16, false])
  assert.deepEqual(read(localHeader(BODY)).result, 28)
})

test('PROXY v2: TLVs are skipped, within a bound', () => {
  for (const bytes of [1, 100, PROXY_HEADER_BYTES_MAX - 28]) {
    assert.equal(read(proxyHeader({ source: CLIENT, tlvs: Buffer.alloc(bytes, 9) })).result, 28 + bytes)
  }
  const longest = proxyHeader({ source: CLIENT, tlvs: Buffer.alloc(PROXY_HEADER_BYTES_MAX - 27) })
  assert.equal(read(longest).result, -1)
  assert.equal(read(longest.subarray(0, 16)).result, -1, 'known by its length')
})

test('PROXY v2: a header wants more bytes until it is whole, and no byte of what follows', () => {
  const whole = proxyHeader({ source: CLIENT, tlvs: Buffer.alloc(5) })
  for (let length = 0; length < whole.length; length++)
    assert.equal(read(whole.subarray(0, length)).result, 0)
  assert.equal(read(Buffer.concat([whole, Buffer.alloc(50, 0xff)])).result, whole.length)
})

const INVALID: Record<string, Buffer> = {
  'version 1': Buffer.from('PROXY TCP4 198.51.100.7 203.0.113.1 4000 443\r\n'),
  'another version': header(0x11, 0x11, BODY),
  'an unknown command': header(0x22, 0x11, BODY),
  'no family': header(0x21, 0x00, BODY),
  'a UNIX socket': header(0x21, 0x31, Buffer.alloc(216)),
  'an unknown family': header(0x21, 0x41, BODY),
  'an unknown transport': header(0x21, 0x13, BODY),
  'the other transport': header(0x21, 0x12, BODY),
  'no room for addresses': header(0x21, 0x11, Buffer.alloc(11)),
  'no room for IPv6 addresses': header(0x21, 0x21, Buffer.alloc(35)),
  'a length beyond all bounds': header(0x21, 0x11, BODY, 65_535),
}
for (const [name, bytes] of Object.entries(INVALID)) {
  test(`PROXY v2: ${name} is no header`, () => assert.equal(read(bytes).result, -1))
}

test('PROXY v2: each byte of the signature counts', () => {
  for (let i = 0; i < 12; i++) {
    const wrong = proxyHeader({ source: CLIENT })
    wrong[i]! ^= 1
    assert.equal(read(wrong.subarray(0, i + 1)).result, -1)
  }
})
