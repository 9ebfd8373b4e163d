import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { TransportAddress } from './address.ts'
import { formatAddress, formatIp, ipFamily, parseAddress } from './address-text.ts'

const word = fc.nat(0xffffffff)

test('an IPv4 address survives its text', () => {
  fc.assert(
    fc.property(word, fc.nat(65535), (ip, port) => {
      const address = new TransportAddress().set4(ip, port)
      assert.ok(parseAddress(formatIp(address), port)?.equals(address))
    }),
  )
})

test('an IPv6 address survives its text, and Node reads the same text', () => {
  const sparse = fc.oneof(word, fc.constantFrom(0, 1, 0xffff, 0x10000))
  fc.assert(
    fc.property(sparse, sparse, sparse, sparse, (a, b, c, d) => {
      const address = new TransportAddress().set6(a, b, c, d, 9)
      const text = formatIp(address)
      assert.equal(isIP(text), 6, text)
      assert.ok(parseAddress(text, 9)?.equals(address), text)
    }),
  )
})

test('text that Node takes for no IP address is refused', () => {
  const piece = fc.constantFrom(
    '0',
    '1',
    'ff',
    'abcd',
    '12345',
    ':',
    '::',
    '.',
    '255',
    '256',
    '01',
    '1.2.3.4',
    'g',
    '%',
    ' ',
    '-',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join('')
      if (text.includes('%')) assert.equal(parseAddress(text, 1), undefined)
      else assert.equal(ipFamily(text) ?? 0, isIP(text), text)
    }),
    { numRuns: 2000 },
  )
})

const CANONICAL = [
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['2001:DB8::A', '2001:db8::a'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
] as const
for (const [text, canonical] of CANONICAL) {
  test(`${text} is written ${canonical}`, () => {
    const address = parseAddress(text, 0)
    assert.ok(address)
    assert.equal(formatIp(address), canonical)
  })
}

test('IPv6 addresses are in brackets before a port', () => {
  assert.equal(formatAddress(parseAddress('2001:db8::1', 3478)!), '[2001:db8::1]:3478')
  assert.equal(formatAddress(parseAddress('192.0.2.1', 3478)!), '192.0.2.1:3478')
})
