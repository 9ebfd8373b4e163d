import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { StreamWriter } from './stream-writer.ts'

const MEDIA = 0x40
const RESPONSE = 0x01
const OVERHEAD = 128

/** A stream that takes nothing until it is told to. */
function stuckStream() {
  const written: number[] = []
  const waiting: (() => void)[] = []
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      // Every frame of the test is 10 bytes: the kind, the number, and padding.
      for (let at = 0; at < chunk.length; at += 10) written.push(chunk[at + 1]!)
      waiting.push(done)
    },
  })
  return { stream, written, release: () => waiting.shift()?.() }
}

function frame(kind: number, number: number): Uint8Array {
  const bytes = new Uint8Array(10)
  bytes[0] = kind
  bytes[1] = number
  return bytes
}

function writerOf(frames: number) {
  const stuck = stuckStream()
  let drops = 0
  const writer = new StreamWriter(stuck.stream, frames * (10 + OVERHEAD), () => drops++)
  const push = (kind: number, number: number) => writer.push(frame(kind, number), 0, 10)
  return { ...stuck, writer, push, drops: () => drops }
}

test('frames that were gathered go out as one write, in order', () => {
  const { writer, push, written } = writerOf(10)
  for (let i = 0; i < 5; i++) push(MEDIA, i)
  assert.deepEqual(written, [])
  writer.flush()
  assert.deepEqual(written, [0, 1, 2, 3, 4])
})

test('the oldest media makes room for new media, and the rest goes out when the client reads again', () => {
  const { writer, push, written, release, drops } = writerOf(3)
  push(MEDIA, 0)
  writer.flush()
  for (let i = 1; i <= 6; i++) push(MEDIA, i)
  writer.flush()
  assert.deepEqual([written, drops()], [[0], 3])
  release()
  writer.flush()
  assert.deepEqual(written, [0, 4, 5, 6])
})

test('responses are never dropped for media and have a limit of their own', () => {
  const { writer, push, written, release, drops } = writerOf(2)
  push(MEDIA, 0)
  writer.flush()
  push(MEDIA, 1)
  push(RESPONSE, 2)
  push(RESPONSE, 3)
  push(MEDIA, 4)
  assert.equal(drops(), 2, 'the waiting media, then the new one for want of room')
  release()
  writer.flush()
  assert.deepEqual(written, [0, 2, 3])
  for (let i = 0; i < 1000; i++) push(RESPONSE, i % 256)
  assert.ok(drops() > 400, 'even responses are bounded')
})

test('a client that never reads costs no more than its queue', () => {
  const { push, writer, drops } = writerOf(100)
  push(MEDIA, 0)
  writer.flush()
  for (let i = 0; i < 100_000; i++) push(MEDIA, i % 256)
  assert.equal(drops(), 99_900)
})

test('what is pushed is copied', () => {
  const { stream, written, writer } = writerOf(5)
  const bytes = Buffer.from(frame(MEDIA, 7))
  writer.push(bytes, 0, 10)
  bytes.fill(9)
  writer.flush()
  assert.deepEqual(written, [7])
  stream.destroy()
})
