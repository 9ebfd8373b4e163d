import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ATTRIBUTE } from './attribute-types.ts'
import { FRAME_BYTES_MAX, StreamFramer } from './framing.ts'
import { CLASS, METHOD } from './methods.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from './rooms.ts'
import { StunWriter } from './writer.ts'

const ID = new Uint8Array(12).fill(7)
const first = new StunWriter()
  .start(METHOD.Allocate, CLASS.Request, ID)
  .addUint32(ATTRIBUTE.Lifetime, 1)
  .finish()

/** A ChannelData frame with its padding. */
function channel(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(4 + ((payload.length + 3) & ~3))
  frame.set([0x40, 0x01, payload.length >> 8, payload.length & 255])
  frame.set(payload, 4)
  return frame
}

/** Feeds the chunks, spoils the rooms of each frame as the relay may, and returns the frames in hex. */
function cut(chunks: Uint8Array[], rooms: boolean, framer = new StreamFramer()): string[] {
  const frames: string[] = []
  for (const chunk of chunks) {
    const before = rooms ? HEAD_ROOM_BYTES : 0
    const buffer = new Uint8Array(chunk.length + before + (rooms ? TAIL_ROOM_BYTES : 0))
    buffer.set(chunk, before)
    framer.push(buffer, before, chunk.length)
    for (let frame = framer.next(); frame; frame = framer.next()) {
      const end = frame.offset + frame.length
      frames.push(Buffer.from(frame.buffer.subarray(frame.offset, end)).toString('hex'))
      assert.ok(frame.offset >= HEAD_ROOM_BYTES)
      assert.ok(end + TAIL_ROOM_BYTES <= frame.buffer.length)
      frame.buffer.fill(0xee, frame.offset - HEAD_ROOM_BYTES, end + TAIL_ROOM_BYTES)
    }
  }
  return frames
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

test('the same frames come out wherever the stream is split', () => {
  const frames = [
    first,
    channel(Uint8Array.of(1, 2, 3)),
    channel(new Uint8Array(0)),
    first,
    channel(new Uint8Array(9)),
  ]
  const stream = Buffer.concat(frames)
  for (const rooms of [true, false]) {
    for (let a = 0; a <= stream.length; a++) {
      for (let b = a; b <= stream.length; b += 5) {
        const chunks = [stream.subarray(0, a), stream.subarray(a, b), stream.subarray(b)]
        assert.deepEqual(cut(chunks, rooms), frames.map(hex), `split at ${a} and ${b}`)
      }
    }
    assert.deepEqual(
      cut(
        [...stream].map((byte) => Uint8Array.of(byte)),
        rooms,
      ),
      frames.map(hex),
    )
  }
})

test('any frames in any chunks', () => {
  const payload = fc.uint8Array({ maxLength: 3000 })
  fc.assert(
    fc.property(
      fc.array(payload, { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 }),
      fc.boolean(),
      (payloads, sizes, rooms) => {
        const frames = [first, ...payloads.map(channel)]
        const stream = Buffer.concat(frames)
        const chunks: Uint8Array[] = []
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = sizes[i % sizes.length]!
          chunks.push(stream.subarray(at, at + size))
          at += size
        }
        assert.deepEqual(cut(chunks, rooms), frames.map(hex))
      },
    ),
    { numRuns: 60 },
  )
})

test('a frame that lies whole in the chunk is not copied', () => {
  const framer = new StreamFramer()
  const buffer = new Uint8Array(HEAD_ROOM_BYTES + first.length + TAIL_ROOM_BYTES)
  buffer.set(first, HEAD_ROOM_BYTES)
  framer.push(buffer, HEAD_ROOM_BYTES, first.length)
  assert.equal(framer.next()?.buffer, buffer)
  assert.equal(framer.next(), undefined)
})

test('the largest frames pass, in pieces', () => {
  const frame = channel(new Uint8Array(65535).fill(5))
  const stream = Buffer.concat([first, frame])
  const chunks = [stream.subarray(0, 700), stream.subarray(700, 30_000), stream.subarray(30_000)]
  assert.deepEqual(cut(chunks, true), [hex(first), hex(frame)])
  assert.ok(frame.length < FRAME_BYTES_MAX)
})

test('a header that claims much makes the framer hold only what came', () => {
  const framer = new StreamFramer()
  assert.deepEqual(cut([first, Uint8Array.of(0x40, 0, 0xff, 0xff, 1, 2)], true, framer), [hex(first)])
  assert.equal(framer.pendingBytes, 6)
  assert.equal(framer.failed, false)
})

const FOREIGN: [string, Uint8Array][] = [
  ['an HTTP request', new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')],
  ['a TLS record', Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0, 0)],
  ['ChannelData before any STUN', channel(Uint8Array.of(1))],
  ['a length that is no multiple of four', Uint8Array.of(0, 3, 0, 3)],
  ['a wrong magic cookie', Uint8Array.of(0, 3, 0, 0, 1, 2, 3, 4)],
  ['a whole message with a wrong magic cookie', Uint8Array.of(0, 3, 0, 0, 1, 2, 3, 4, ...ID)],
]
for (const [name, bytes] of FOREIGN) {
  test(`${name} fails the stream, at any split, and nothing follows`, () => {
    for (let at = 0; at <= bytes.length; at++) {
      const framer = new StreamFramer()
      assert.deepEqual(cut([bytes.subarray(0, at), bytes.subarray(at), first], true, framer), [])
      assert.ok(framer.failed)
    }
  })
}

test('a reserved first byte after good frames fails the stream', () => {
  const framer = new StreamFramer()
  assert.deepEqual(cut([Buffer.concat([first, Uint8Array.of(0x50, 0, 0, 0)])], true, framer), [hex(first)])
  assert.ok(framer.failed)
})

test('what comes behind a frame can be taken out as it is, wherever the bytes were split', () => {
  const rest = new TextEncoder().encode('not a frame')
  const whole = Buffer.concat([first, rest])
  for (let cutAt = 1; cutAt <= whole.length; cutAt++) {
    const framer = new StreamFramer()
    const before = cut([whole.subarray(0, cutAt)], true, framer)
    if (before.length === 0) {
      framer.push(whole, cutAt, whole.length - cutAt)
      assert.ok(framer.next())
    }
    const taken = Buffer.from(framer.takeRest()).toString()
    assert.equal(taken, 'not a frame'.slice(0, before.length === 0 ? undefined : cutAt - first.length))
    assert.equal(framer.pendingBytes, 0)
  }
})
