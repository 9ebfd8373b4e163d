import assert from 'node:assert/strict'
import { before, describe, it, type TestContext } from 'node:test'
import fc from 'fast-check'
import { TransportAddress } from '../../stun/address.ts'
import { parseAddress } from '../../stun/address-text.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../turn/contract.ts'
import { SOL_SOCKET } from './constants.ts'
import { setsockopt } from './ffi.ts'
import { Memory } from './memory.ts'
import { RECEIVE_RING_BYTES, ReceiveRing } from './receive-ring.ts'
import { SEND_MEMORY_BYTES, SEND_QUEUE_DATAGRAMS, SendQueue } from './send-queue.ts'
import { pinThread } from './testing/pin-thread.ts'
import { type UdpSocket, UdpSocketFactory } from './udp-socket.ts'

/** Without checksums the kernel does not cut a send into datagrams: EINVAL. */
const SO_NO_CHECK = 11
const BUFFER_BYTES = 4_194_304
/** What the queue holds at least. */
const QUEUE_BYTES = 1_000_000
const DELIVERY_MS_MAX = 5_000

/** A queue, and what its receivers hold after a flush. */
function setUp(t: TestContext, host = '127.0.0.1', receivers = 3) {
  const counters = { sendErrors: 0 }
  const memory = new Memory(SEND_MEMORY_BYTES + RECEIVE_RING_BYTES + 65_536)
  const queue = new SendQueue(memory, counters)
  const ring = new ReceiveRing(memory)
  const factory = new UdpSocketFactory(memory)
  const open = (): UdpSocket => {
    const socket = factory.open({ bind: parseAddress(host, 0)!, bufferBytes: BUFFER_BYTES, keepErrors: true })
    t.after(() => socket.close())
    return socket
  }
  /** Of all that was received, in order. */
  const classes: number[] = []
  /** All that a socket holds, once it holds `count` datagrams: a busy kernel delivers on loopback a little later. */
  const received = (socket: UdpSocket, count: number): Buffer[] => {
    const all: Buffer[] = []
    const deadline = performance.now() + DELIVERY_MS_MAX
    for (let more = true; more || (all.length < count && performance.now() < deadline); ) {
      more = ring.receive(socket.fd)
      while (ring.next()) {
        all.push(Buffer.from(memory.bytes.slice(ring.offset, ring.offset + ring.length)))
        classes.push(ring.trafficClass)
        scribble(memory.bytes, ring)
      }
    }
    return all
  }
  const sender = open()
  const second = open()
  return {
    memory,
    queue,
    counters,
    received,
    classes,
    senders: [sender, second],
    peers: Array.from({ length: receivers }, open),
  }
}

/** Overwrites all that the state machine may overwrite. */
function scribble(bytes: Uint8Array, { offset, length }: ReceiveRing): void {
  bytes.fill(0xee, offset - HEAD_ROOM_BYTES, offset + length + TAIL_ROOM_BYTES)
}

/** A datagram that tells its number. */
function datagram(number: number, length: number): Buffer {
  const bytes = Buffer.alloc(length, number)
  if (length >= 4) bytes.writeUInt32BE(number, 0)
  return bytes
}

describe('the send queue', () => {
  before(pinThread)
  for (const host of ['127.0.0.1', '::1']) {
    it(`delivers each datagram whole and in order, whatever lies beside it, on ${host}`, (t) => {
      const { queue, senders, peers, received, counters } = setUp(t, host)
      const size = fc.oneof(
        fc.constantFrom(0, 1, 160, 164, 1200, 1472, 1473, 9000),
        fc.integer({ min: 0, max: 300 }),
      )
      const one = fc.record({
        sender: fc.nat(1),
        peer: fc.nat(2),
        size,
        repeat: fc.integer({ min: 1, max: 70 }),
      })
      // More than the queue holds leaves in parts: one sender's datagrams then come before and after another's.
      const batches = fc
        .array(one, { minLength: 1, maxLength: 6 })
        .filter((batch) => batch.reduce((sum, { size, repeat }) => sum + size * repeat, 0) <= QUEUE_BYTES)
      fc.assert(
        fc.property(batches, (batch) => {
          const sent: Buffer[][][] = peers.map(() => [[], []])
          let number = 0
          for (const { sender, peer, size, repeat } of batch) {
            for (let i = 0; i < repeat; i++) {
              const bytes = datagram(number++, size)
              queue.push(senders[sender]!, peers[peer]!.local, bytes, 0, size)
              sent[peer]![sender]!.push(bytes)
            }
          }
          queue.flush()
          for (const [index, peer] of peers.entries()) {
            // One sender's datagrams leave before those of the next.
            const [a, b] = sent[index]!
            const got = received(peer, a!.length + b!.length)
            const either = [Buffer.concat([...a!, ...b!]), Buffer.concat([...b!, ...a!])]
            assert.equal(got.length, a!.length + b!.length)
            assert.ok(either.some((whole) => whole.equals(Buffer.concat(got))))
            assert.deepEqual(
              got.map(({ length }) => length).toSorted(),
              [...a!, ...b!].map(({ length }) => length).toSorted(),
            )
          }
          assert.equal(counters.sendErrors, 0)
        }),
        { numRuns: 60 },
      )
    })
  }

  for (const host of ['127.0.0.1', '::1']) {
    it(`gives each datagram the DSCP and ECN that it was pushed with, runs of one class together, on ${host}`, (t) => {
      const { queue, senders, peers, received, classes } = setUp(t, host)
      const one = fc.record({ trafficClass: fc.nat(255), repeat: fc.integer({ min: 1, max: 5 }) })
      fc.assert(
        fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), (batch) => {
          const pushed = batch.flatMap(({ trafficClass, repeat }) => Array<number>(repeat).fill(trafficClass))
          for (const [i, trafficClass] of pushed.entries())
            queue.push(senders[0]!, peers[0]!.local, datagram(i, 160), 0, 160, trafficClass)
          queue.flush()
          classes.length = 0
          const numbers = received(peers[0]!, pushed.length).map((bytes) => bytes.readUInt32BE(0))
          assert.deepEqual(numbers, [...pushed.keys()])
          assert.deepEqual(classes, pushed)
        }),
        { numRuns: 60 },
      )
    })
  }

  it('sends more than it holds in parts', (t) => {
    const { queue, senders, peers, received } = setUp(t)
    const count = SEND_QUEUE_DATAGRAMS + 10
    for (let i = 0; i < count; i++) queue.push(senders[0]!, peers[0]!.local, datagram(i, 100), 0, 100)
    queue.flush()
    assert.deepEqual(
      received(peers[0]!, count).map((bytes) => bytes.readUInt32BE(0)),
      Array.from({ length: count }, (_, i) => i),
    )
  })

  it('takes what lies in its own memory', (t) => {
    const { memory, queue, senders, peers, received } = setUp(t)
    const at = memory.take(16)
    memory.bytes.set([1, 2, 3, 4], at)
    queue.push(senders[0]!, peers[0]!.local, memory.bytes, at, 4)
    memory.bytes.fill(9, at, at + 4)
    queue.flush()
    assert.deepEqual(received(peers[0]!, 1), [Buffer.from([1, 2, 3, 4])])
  })

  it('drops and counts what has no way, and delivers all else', (t) => {
    const { queue, senders, peers, received, counters } = setUp(t)
    const nowhere = new TransportAddress().copyFrom(peers[0]!.local)
    nowhere.port = 0
    for (let i = 0; i < 30; i++) {
      const to = i % 3 === 1 ? nowhere : peers[0]!.local
      queue.push(senders[0]!, to, datagram(i, 50), 0, 50)
    }
    queue.push(senders[0]!, parseAddress('2001:db8::1', 9)!, datagram(0, 50), 0, 50)
    queue.push(senders[0]!, peers[0]!.local, Buffer.alloc(65_508), 0, 65_508)
    queue.push(senders[0]!, peers[0]!.local, Buffer.alloc(2_000_000), 0, 2_000_000)
    queue.push(senders[0]!, peers[1]!.local, datagram(77, 50), 0, 50)
    queue.flush()
    assert.deepEqual(
      received(peers[0]!, 20).map((bytes) => bytes.readUInt32BE(0)),
      Array.from({ length: 30 }, (_, i) => i).filter((i) => i % 3 !== 1),
    )
    assert.equal(received(peers[1]!, 1).length, 1)
    assert.equal(counters.sendErrors, 13)
  })

  it('sends one by one where the kernel refuses to cut a run', (t) => {
    const { memory, queue, senders, peers, received, classes, counters } = setUp(t)
    const value = memory.take(4)
    memory.i32[value >> 2] = 1
    assert.equal(setsockopt(senders[0]!.fd, SOL_SOCKET, SO_NO_CHECK, memory.address(value), 4), 0)
    for (let i = 0; i < 40; i++) {
      queue.push(senders[0]!, peers[i < 20 ? 0 : 1]!.local, datagram(i, 200), 0, 200, i < 20 ? 0xb9 : 0)
      queue.push(senders[1]!, peers[2]!.local, datagram(i, 200), 0, 200)
    }
    queue.flush()
    const numbers = peers.map((peer, i) =>
      received(peer, i < 2 ? 20 : 40).map((bytes) => bytes.readUInt32BE(0)),
    )
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
    assert.deepEqual(numbers, [range(0, 20), range(20, 40), range(0, 40)])
    assert.deepEqual(classes, [...Array<number>(20).fill(0xb9), ...Array<number>(60).fill(0)])
    assert.equal(counters.sendErrors, 0)
  })

  it('forgets what waited on a socket that was closed', (t) => {
    const { queue, senders, peers, received, counters } = setUp(t)
    queue.push(senders[0]!, peers[0]!.local, datagram(1, 50), 0, 50)
    queue.push(senders[1]!, peers[0]!.local, datagram(2, 50), 0, 50)
    senders[0]!.close()
    queue.flush()
    assert.deepEqual(
      received(peers[0]!, 1).map((bytes) => bytes.readUInt32BE(0)),
      [2],
    )
    assert.equal(counters.sendErrors, 0, 'its number may be another socket by now')
  })

  it('sends to others what a pending error of one destination makes fail, singly and in runs', (t) => {
    const { queue, senders, peers, received, counters } = setUp(t, '127.0.0.1', 2)
    const [gone, good] = peers
    gone!.close()
    const bytes = datagram(1, 100)
    for (const run of [1, 5]) {
      queue.push(senders[0]!, gone!.local, bytes, 0, bytes.length)
      queue.flush()
      for (let i = 0; i < run; i++) queue.push(senders[0]!, good!.local, bytes, 0, bytes.length)
      queue.flush()
      assert.equal(received(good!, run).length, run)
    }
    assert.equal(counters.sendErrors, 0)
  })
})
