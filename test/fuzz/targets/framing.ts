import assert from 'node:assert/strict'
import { FRAME_BYTES_MAX, StreamFramer } from '../../../relay/stun/framing.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../../relay/stun/rooms.ts'
import { HEADER_BYTES, MAGIC_COOKIE } from '../../../relay/stun/wire.ts'
import { Input } from '../input.ts'
import type { Target } from '../target.ts'

const PIECES_MAX = 32
const CHUNKS_MAX = 64

/** Cutting a stream into frames: however it is split, what comes out is what a plain reading of the RFC gives. */
export const framing: Target = {
  code: /\/relay\/stun\//,
  seeds: [
    Uint8Array.of(2, 0, 0, 4, 1, 2, 3, 4, 1, 0, 3, 1, 2, 3, 0, 0, 0, 0, 5, 0, 3, 9, 0, 1, 7),
    Uint8Array.of(1, 2, 3, 60, 0, 0, 0, 1, 255, 255, 1, 2, 3),
    Uint8Array.of(3, 0, 0, 0, 2, 71, 69, 84, 32),
  ],
  dictionary: [Uint8Array.of(0x21, 0x12, 0xa4, 0x42), Uint8Array.of(0x4f, 0xff), Uint8Array.of(0xff, 0xfc)],
  run(bytes) {
    const input = new Input(bytes)
    const rooms = (input.byte() & 1) === 1
    const sizes = Array.from({ length: 1 + (input.byte() % 8) }, () => 1 + input.byte() * (input.byte() % 5))
    const stream = build(input)
    const wanted = plainly(stream)
    assert.deepEqual(cut(stream, sizes, rooms), wanted)
    assert.deepEqual(cut(stream, [stream.length], !rooms), wanted)
  },
}

/** Frames, nearly frames and anything else. */
function build(input: Input): Uint8Array {
  const pieces: Uint8Array[] = []
  for (let i = 0; i < PIECES_MAX && !input.done; i++) pieces.push(...input.pick(PIECES)(input))
  return new Uint8Array(Buffer.concat(pieces))
}

const PIECES: readonly ((input: Input) => Uint8Array[])[] = [
  (input) => {
    const body = input.take(input.byte() * 4)
    return [stunHeader(body.length & ~3), body]
  },
  (input) => {
    const [low, body] = [input.byte(), input.take(input.uint16() & 0x3ff)]
    const header = Uint8Array.of(0x40 | (low & 0x0f), 1, body.length >> 8, body.length & 255)
    return [header, body, new Uint8Array((4 - (body.length % 4)) % 4)]
  },
  (input) => [stunHeader(input.uint16()), input.take(input.byte())],
  (input) => [input.take(input.byte())],
]

function stunHeader(length: number): Uint8Array {
  const cookie = [24, 16, 8, 0].map((shift) => (MAGIC_COOKIE >>> shift) & 255)
  return Uint8Array.of(0, 3, length >> 8, length & 255, ...cookie, ...new Array(12).fill(7))
}

interface Cut {
  readonly frames: string[]
  readonly failed: boolean
}

/** The reading of RFC 8489 §6.2.2 and RFC 8656 §12.5 that needs the whole stream in hand. */
function plainly(stream: Uint8Array): Cut {
  const frames: string[] = []
  let at = 0
  while (at < stream.length) {
    const rest = stream.subarray(at)
    const isChannel = (rest[0]! & 0xf0) === 0x40 && frames.length > 0
    if (!isChannel && !mayBeStun(rest)) return { frames, failed: true }
    const length = ((rest[2] ?? 0) << 8) | (rest[3] ?? 0)
    const total = isChannel ? 4 + Math.ceil(length / 4) * 4 : HEADER_BYTES + length
    if (rest.length < 4 || rest.length < total) break
    frames.push(Buffer.from(rest.subarray(0, total)).toString('base64'))
    at += total
  }
  return { frames, failed: false }
}

/** Whether a message may begin so, as far as it is there. */
function mayBeStun(bytes: Uint8Array): boolean {
  if (bytes[0]! > 0x3f || (bytes.length >= 4 && bytes[3]! % 4 !== 0)) return false
  return bytes.length < 8 || Buffer.from(bytes).readUInt32BE(4) === MAGIC_COOKIE
}

/** The framer's reading, with the rooms of each frame spoilt as the relay spoils them. */
function cut(stream: Uint8Array, sizes: readonly number[], rooms: boolean): Cut {
  const framer = new StreamFramer()
  const frames: string[] = []
  let held = 0
  for (let at = 0, i = 0; at < stream.length && !framer.failed; i++) {
    const size = i < CHUNKS_MAX ? sizes[i % sizes.length]! : stream.length
    const chunk = stream.subarray(at, at + size)
    at += size
    const before = rooms ? HEAD_ROOM_BYTES : 0
    const buffer = new Uint8Array(before + chunk.length + (rooms ? TAIL_ROOM_BYTES : 0))
    buffer.set(chunk, before)
    held += chunk.length
    framer.push(buffer, before, chunk.length)
    for (let frame = framer.next(); frame; frame = framer.next()) {
      const end = frame.offset + frame.length
      assert.ok(frame.length <= FRAME_BYTES_MAX)
      assert.ok(frame.offset >= HEAD_ROOM_BYTES && end + TAIL_ROOM_BYTES <= frame.buffer.length)
      frames.push(Buffer.from(frame.buffer.subarray(frame.offset, end)).toString('base64'))
      frame.buffer.fill(0xee, frame.offset - HEAD_ROOM_BYTES, end + TAIL_ROOM_BYTES)
      held -= frame.length
    }
    assert.ok(framer.failed || framer.pendingBytes === held, 'held more or less than what came')
  }
  return { frames, failed: framer.failed }
}
