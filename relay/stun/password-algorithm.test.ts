import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeCrypto as crypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from './attribute-types.ts'
import { userhash } from './integrity.ts'
import { CLASS, METHOD } from './methods.ts'
import { firstKnownAlgorithm, passwordKey, readPasswordAlgorithm } from './password-algorithm.ts'
import { StunReader } from './reader.ts'
import { StunWriter } from './writer.ts'

const USERNAME = '\u30de\u30c8\u30ea\u30c3\u30af\u30b9'

function read(bytes: Uint8Array): StunReader {
  const reader = new StunReader()
  assert.equal(reader.read(bytes, 0, bytes.length), 'ok')
  return reader
}

test('RFC 8489 Appendix B.1: the USERHASH of the sample request', () => {
  const hash = '4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704'
  assert.equal(Buffer.from(userhash(crypto, USERNAME, 'example.org')).toString('hex'), hash)
})

const LISTS: readonly [name: string, hex: string, first: string | undefined][] = [
  ['SHA-256, MD5', '0002000000010000', 'sha256'],
  ['MD5, SHA-256', '0001000000020000', 'md5'],
  ['an unknown one with padded parameters, SHA-256', '7fff000361626300' + '00020000', 'sha256'],
  ['only unknown ones', '7fff0000', undefined],
  ['SHA-256 with parameters', '0002000461626364', undefined],
  ['parameters beyond the end', '7fffffff00020000', undefined],
  ['half an entry', '0002', undefined],
  ['nothing', '', undefined],
]
for (const [name, hex, first] of LISTS) {
  test(`RFC 8489 §9.2.5: of ${name} a client takes ${first ?? 'none'}`, () => {
    assert.equal(firstKnownAlgorithm(Uint8Array.from(Buffer.from(hex, 'hex'))), first)
  })
}

const VALUES: readonly [hex: string, algorithm: string | undefined][] = [
  ['00010000', 'md5'],
  ['00020000', 'sha256'],
  ['00000000', undefined],
  ['00030000', undefined],
  ['00020001', undefined],
  ['0002', undefined],
  ['0002000000010000', undefined],
]
for (const [hex, algorithm] of VALUES) {
  test(`RFC 8489 §14.12: PASSWORD-ALGORITHM ${hex} is ${algorithm ?? 'malformed'}`, () => {
    const writer = new StunWriter().start(METHOD.Allocate, CLASS.Request, new Uint8Array(12))
    const value = Uint8Array.from(Buffer.from(hex, 'hex'))
    const reader = read(writer.addBytes(ATTRIBUTE.PasswordAlgorithm, value).finish())
    assert.equal(readPasswordAlgorithm(reader), algorithm)
  })
}

test('RFC 8489 §18.5.1: keys are 16 bytes by MD5 and 32 by SHA-256', () => {
  const key = (algorithm: 'md5' | 'sha256') => passwordKey(crypto, algorithm, 'user', 'realm', 'pass')
  assert.equal(Buffer.from(key('md5')).toString('hex'), '8493fbc53ba582fb4c044c456bdc40eb')
  assert.equal(key('sha256').length, 32)
})
