import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import { parseAddress } from '../../stun/address-text.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../turn/contract.ts'
import { Memory } from './memory.ts'
import { RECEIVE_BATCH, RECEIVE_RING_BYTES, ReceiveRing } from './receive-ring.ts'
import { SEND_MEMORY_BYTES, SendQueue } from './send-queue.ts'
import { pinThread } from './testing/pin-thread.ts'
import { UdpSocketFactory } from './udp-socket.ts'

const DELIVERY_MS_MAX = 5_000

function setUp(t: TestContext, host: string) {
  const memory = new Memory(2 * RECEIVE_RING_BYTES + SEND_MEMORY_BYTES + 65_536)
  const ring = new ReceiveRing(memory)
  const witnessRing = new ReceiveRing(memory)
  const queue = new SendQueue(memory, { sendErrors: 0 })
  const factory = new UdpSocketFactory(memory)
  const [sender, receiver, witness] = [1, 2, 3].map(() => {
    const socket = factory.open({ bind: parseAddress(host, 0)!, bufferBytes: 1_048_576 })
    t.after(() => socket.close())
    return socket
  })
  const send = (numbers: readonly number[], length: number) => {
    for (const number of numbers)
      queue.push(sender!, receiver!.local, Buffer.alloc(length, number), 0, length)
    queue.flush()
    untilDelivered()
  }
  /** A busy kernel delivers on loopback a little later, in order: what comes last to another socket tells. */
  const untilDelivered = () => {
    queue.push(sender!, witness!.local, Buffer.alloc(1), 0, 1)
    queue.flush()
    const deadline = performance.now() + DELIVERY_MS_MAX
    do assert.ok(performance.now() < deadline, 'nothing is delivered')
    while (witnessRing.receive(witness!.fd) || !witnessRing.next())
  }
  return { memory, ring, sender: sender!, receiver: receiver!, send }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i)

describe('the receive ring', () => {
  before(pinThread)
  for (const host of ['127.0.0.1', '::1']) {
    it(`hands out one by one what the kernel joined, each with room around it, on ${host}`, (t) => {
      const { memory, ring, sender, receiver, send } = setUp(t, host)
      send(range(50), 200)
      send([50], 7)
      const seen: number[] = []
      for (let more = true; more; ) {
        more = ring.receive(receiver.fd)
        while (ring.next()) {
          const { offset, length, from } = ring
          assert.ok(from.equals(sender.local))
          assert.equal(length, seen.length === 50 ? 7 : 200)
          const bytes = memory.bytes.subarray(offset, offset + length)
          assert.ok(bytes.every((byte) => byte === seen.length))
          seen.push(bytes[0]!)
          memory.bytes.fill(0xee, offset - HEAD_ROOM_BYTES, offset + length + TAIL_ROOM_BYTES)
        }
      }
      assert.deepEqual(seen, range(51))
    })

    it(`forgets what was not asked for, and takes the next batch whole, on ${host}`, (t) => {
      const { memory, ring, sender, receiver, send } = setUp(t, host)
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < RECEIVE_BATCH; i++) send([i, i + 1], 100 + i)
        assert.ok(ring.receive(receiver.fd), 'a full batch')
        for (let i = 0; i <= round; i++) assert.ok(ring.next())
        send([200], 20)
        assert.ok(!ring.receive(receiver.fd))
        assert.ok(ring.next())
        assert.deepEqual([ring.length, memory.bytes[ring.offset]], [20, 200])
        assert.ok(ring.from.equals(sender.local))
        assert.ok(!ring.next())
      }
    })
  }
})
