import assert from 'node:assert/strict'
import { StreamPreface } from '../../../relay/io/proxy/stream-preface.ts'
import { formatAddress } from '../../../relay/stun/address-text.ts'
import { PROXY_HEADER_BYTES_MAX, ProxyHeader } from '../../../relay/stun/proxy-header.ts'
import { Input } from '../input.ts'
import type { Target } from '../target.ts'

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const V4 = [203, 0, 113, 5, 192, 0, 2, 1, 0x30, 0x39, 0x0d, 0x96]
const V6 = [...new Array(32).fill(7), 0x30, 0x39, 0x0d, 0x96]

/** What a load balancer puts in front of a stream or a datagram: the same header however it is cut, and nothing beyond it. */
export const proxy: Target = {
  code: /\/relay\/(stun|io\/proxy)\//,
  seeds: [
    [0, 3, ...SIGNATURE, 0x21, 0x11, 0, 12, ...V4, 0, 1, 0, 0],
    [1, 1, ...SIGNATURE, 0x21, 0x12, 0, 12, ...V4],
    [0, 7, ...SIGNATURE, 0x21, 0x21, 0, 40, ...V6, 4, 0, 1, 0, 9],
    [0, 2, ...SIGNATURE, 0x20, 0, 0, 0, 0, 3],
    [0, 5, ...SIGNATURE, 0x21, 0x31, 0xff, 0xff],
    [0, 1, 0x50, 0x52, 0x4f, 0x58, 0x59, 0x20],
  ].map((numbers) => Uint8Array.from(numbers)),
  dictionary: [SIGNATURE, [0x21, 0x11, 0, 12], [0x21, 0x21, 0, 36], [0x20, 0, 0, 0], [0x10, 0]].map(
    (numbers) => Uint8Array.from(numbers),
  ),
  run(bytes) {
    const input = new Input(bytes)
    const transport = input.byte() % 2 === 0 ? 'stream' : 'datagram'
    const step = 1 + (input.byte() % 40)
    const message = input.take(bytes.length)
    const whole = look(message, transport, 0)
    assert.deepEqual(
      look(message, transport, 0xff),
      whole,
      'what lies beside a header changes how it is read',
    )
    for (let length = 0; length < message.length; length += step) {
      const { total } = look(message.subarray(0, length), transport, 7)
      assert.ok(total === 0 || total === whole.total, 'a part of a header is read as another one')
    }
    if (transport === 'stream') assert.equal(inPieces(message, step), whole.total)
  },
}

function look(message: Uint8Array, transport: 'stream' | 'datagram', around: number) {
  const buffer = new Uint8Array(message.length + 80).fill(around)
  buffer.set(message, 40)
  const before = buffer.slice()
  const header = new ProxyHeader()
  const total = header.read(buffer, 40, message.length, transport)
  assert.deepEqual(buffer, before, 'reading changed the buffer')
  assert.ok(total >= -1 && total <= Math.min(message.length, PROXY_HEADER_BYTES_MAX))
  if (total <= 0 || !header.relayed) return { total }
  return { total, source: formatAddress(header.source), destination: formatAddress(header.destination) }
}

/** Where a header ends that comes in pieces; 0 where it does not, -1 where it is none. */
function inPieces(message: Uint8Array, step: number): number {
  const preface = new StreamPreface()
  for (let at = 0; at < message.length; at += step) {
    const taken = preface.take(message.slice(at, at + step))
    if (taken < 0) return -1
    if (taken > 0) return at + taken
  }
  return 0
}
