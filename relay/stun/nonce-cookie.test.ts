import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE, nonceCookie, readNonceCookie } from './nonce-cookie.ts'

const { PasswordAlgorithms, UsernameAnonymity } = FEATURE
const bitsOf = (cookie: string) => [...Buffer.from(cookie.slice(9), 'base64')]

const COOKIES: readonly [name: string, features: number, bytes: number[]][] = [
  ['none', 0, [0, 0, 0]],
  ['password algorithms', PasswordAlgorithms, [0x80, 0, 0x01]],
  ['username anonymity', UsernameAnonymity, [0x40, 0, 0x02]],
  ['both', PasswordAlgorithms | UsernameAnonymity, [0xc0, 0, 0x03]],
]
for (const [name, features, bytes] of COOKIES) {
  test(`RFC 8489 §18.1: the cookie for ${name} has its bits at both ends, and is read again`, () => {
    const cookie = nonceCookie(features)
    assert.equal(cookie.length, 13)
    assert.deepEqual(bitsOf(cookie), bytes)
    assert.equal(readNonceCookie(`${cookie}rest`), features)
  })
}

test('RFC 8489 §18.1, Appendix B: bits are found whichever end they are counted from', () => {
  assert.equal(readNonceCookie('obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA'), UsernameAnonymity)
  assert.equal(readNonceCookie('obMatJos2gAAA'), PasswordAlgorithms)
})

for (const nonce of [
  '',
  'obMatJos',
  'obMatJos2AA',
  'obmatjos2AAAC',
  'obMatJos2!!!!',
  'f//499k954d6OL34oL9F',
]) {
  test(`"${nonce}" has no cookie`, () => {
    assert.equal(readNonceCookie(nonce), undefined)
  })
}
