import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatTurnUri, parseTurnUri } from './turn-uri.ts'

const GOOD: [string, string][] = [
  ['turn:example.org', 'udp example.org 3478'],
  ['turn:example.org?transport=tcp', 'tcp example.org 3478'],
  ['turns:example.org', 'tls example.org 5349'],
  ['turns:example.org:443?transport=tcp', 'tls example.org 443'],
  ['turns:example.org?transport=udp', 'dtls example.org 5349'],
  ['TURN:192.0.2.1:80?transport=UDP', 'udp 192.0.2.1 80'],
  ['turn:[2001:db8::1]:3479', 'udp 2001:db8::1 3479'],
  ['turn:[2001:db8::1]?transport=udp', 'udp 2001:db8::1 3478'],
]
for (const [text, expected] of GOOD) {
  test(`${text} is ${expected}`, () => {
    const uri = parseTurnUri(text)
    assert.equal(`${uri.protocol} ${uri.host} ${uri.port}`, expected)
    assert.deepEqual(parseTurnUri(formatTurnUri(uri)), uri)
  })
}

const BAD = [
  'stun:example.org',
  'turn:',
  'turn://example.org',
  'turn:example.org:0',
  'turn:example.org:70000',
  'turn:2001:db8::1',
  'turn:user@example.org',
  'turn:example.org?transport=sctp',
  'turn:example.org?transport=',
  'turn:example.org/path',
  'example.org',
  '',
]
for (const text of BAD) {
  test(`"${text}" is refused with its text`, () => {
    assert.throws(
      () => parseTurnUri(text),
      (error: Error) => error.message.includes(`"${text}"`),
    )
  })
}
