import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROXY_HEADER_BYTES_MAX } from '../../stun/proxy-header.ts'
import { proxyHeader } from '../testing/proxy-frames.ts'
import { StreamPreface } from './stream-preface.ts'

const HEADER = proxyHeader({ source: ['198.51.100.7', 4000], tlvs: Buffer.alloc(3) })
const BEHIND = Buffer.from('what follows')

test('a header that is split at any byte is taken, and nothing behind it', () => {
  for (let split = 1; split < HEADER.length; split++) {
    const preface = new StreamPreface()
    assert.equal(preface.take(HEADER.subarray(0, split)), 0)
    assert.equal(preface.take(Buffer.concat([HEADER.subarray(split), BEHIND])), HEADER.length - split)
    assert.equal(preface.header.source.port, 4000)
  }
})

test('a header that comes byte by byte is taken', () => {
  const preface = new StreamPreface()
  const results = [...HEADER].map((byte) => preface.take(Buffer.from([byte])))
  assert.deepEqual(results, [...new Array(HEADER.length - 1).fill(0), 1])
})

test('the longest header is taken from pieces that end behind it', () => {
  const longest = proxyHeader({
    source: ['198.51.100.7', 4000],
    tlvs: Buffer.alloc(PROXY_HEADER_BYTES_MAX - 28),
  })
  const preface = new StreamPreface()
  assert.equal(preface.take(longest.subarray(0, 4000)), 0)
  assert.equal(preface.take(Buffer.concat([longest.subarray(4000), Buffer.alloc(9000)])), 96)
})

test('what is no header is told by its first wrong byte', () => {
  const preface = new StreamPreface()
  assert.equal(preface.take(HEADER.subarray(0, 3)), 0)
  assert.equal(preface.take(Buffer.from([0x16])), -1)
})
