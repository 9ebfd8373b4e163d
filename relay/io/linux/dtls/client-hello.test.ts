import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isDtls, RANDOM_BYTES, readClientHello, writeHelloVerify } from './client-hello.ts'

const RECORD_HEADER = 13
const MESSAGE_HEADER = 12

/** A ClientHello of DTLS 1.2 with a session id and a cookie of these lengths. */
function clientHello(sessionId = 0, cookie = 20): Buffer {
  const body = Buffer.concat([
    Buffer.from([0xfe, 0xfd]),
    Buffer.alloc(RANDOM_BYTES, 7),
    Buffer.from([sessionId]),
    Buffer.alloc(sessionId, 8),
    Buffer.from([cookie]),
    Buffer.alloc(cookie, 9),
    Buffer.from([0, 2, 0xc0, 0x2b, 1, 0]),
  ])
  const message = Buffer.alloc(MESSAGE_HEADER)
  message[0] = 1
  message.writeUIntBE(body.length, 1, 3)
  message.writeUIntBE(body.length, 9, 3)
  const record = Buffer.alloc(RECORD_HEADER)
  record[0] = 22
  record.writeUInt16BE(0xfefd, 1)
  record.writeUIntBE(5, 5, 6)
  record.writeUInt16BE(message.length + body.length, 11)
  return Buffer.concat([record, message, body])
}

describe('ClientHello of DTLS (RFC 6347 §4.2.1)', () => {
  it('shows where random bytes and cookie lie', () => {
    for (const [sessionId, cookie] of [
      [0, 0],
      [0, 20],
      [32, 255],
    ] as const) {
      const bytes = Buffer.concat([Buffer.alloc(3), clientHello(sessionId, cookie)])
      const hello = readClientHello(bytes, 3, bytes.length - 3)!
      assert.deepEqual(
        bytes.subarray(hello.random, hello.random + RANDOM_BYTES),
        Buffer.alloc(RANDOM_BYTES, 7),
      )
      assert.equal(hello.cookieLength, cookie)
      assert.deepEqual(bytes.subarray(hello.cookie, hello.cookie + cookie), Buffer.alloc(cookie, 9))
    }
  })

  it('is not seen in fragments, other messages, other epochs, or what is cut short', () => {
    const change = (at: number, value: number) => {
      const bytes = clientHello()
      bytes[at] = value
      return bytes
    }
    const whole = clientHello()
    const others = {
      'another content': change(0, 23),
      TLS: change(1, 3),
      'another epoch': change(4, 1),
      'another message': change(RECORD_HEADER, 2),
      'a later fragment': change(RECORD_HEADER + 8, 1),
      'a first fragment': change(RECORD_HEADER + 11, 10),
      'a longer message': change(RECORD_HEADER + 3, 200),
      'a session id that is too long': change(RECORD_HEADER + MESSAGE_HEADER + 34, 33),
      'a cookie that is too long': change(RECORD_HEADER + MESSAGE_HEADER + 35, 255),
    }
    for (const [name, bytes] of Object.entries(others))
      assert.equal(readClientHello(bytes, 0, bytes.length), undefined, name)
    for (let length = 0; length < whole.length; length++)
      assert.equal(readClientHello(whole, 0, length), undefined, `${length} bytes`)
  })

  it('of any content throws nothing and names nothing outside', () => {
    const whole = clientHello(8, 20)
    const edits = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(edits, fc.nat(whole.length), (changes, length) => {
        const bytes = Buffer.from(whole)
        for (const [at, value] of changes) bytes[at] = value
        const hello = readClientHello(bytes, 0, length)
        if (!hello) return
        assert.ok(hello.random + RANDOM_BYTES <= length)
        assert.ok(hello.cookie + hello.cookieLength <= length)
      }),
    )
  })

  it('is answered in its epoch and with its sequence number, by less than it had', () => {
    const hello = clientHello(0, 0)
    const bytes = Buffer.concat([hello, Buffer.alloc(60)])
    const written = writeHelloVerify(bytes, hello.length, 0, Buffer.alloc(20, 3))
    const reply = bytes.subarray(hello.length, hello.length + written)
    assert.ok(reply.length < hello.length)
    assert.deepEqual(reply.subarray(3, 11), hello.subarray(3, 11))
    assert.deepEqual([reply[0], reply.readUInt16BE(1), reply.readUInt16BE(11)], [22, 0xfeff, 35])
    assert.deepEqual(reply.subarray(-21), Buffer.concat([Buffer.from([20]), Buffer.alloc(20, 3)]))
  })

  it('is told from STUN and ChannelData by its first byte (RFC 7983 §7)', () => {
    const first = (byte: number) => isDtls(Uint8Array.of(byte), 0, 1)
    assert.deepEqual([0, 3, 19, 20, 63, 64, 79, 128].map(first), [
      false,
      false,
      false,
      true,
      true,
      false,
      false,
      false,
    ])
    assert.equal(isDtls(Uint8Array.of(22), 0, 0), false)
  })
})
