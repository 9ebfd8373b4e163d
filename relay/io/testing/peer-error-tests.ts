import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import type { TransportAddress } from '../../stun/address.ts'
import { formatAddress } from '../../stun/address-text.ts'
import type { RelayIo } from '../io.ts'
import type { Recorder } from './recorder.ts'
import { type CreateIo, literal, started, udpPeer } from './setup.ts'

const PORT_UNREACHABLE = { '127.0.0.1': [3, 3, 0], '::1': [1, 4, 0] } as const

/** What ICMP says of the datagrams that a relay socket sent, where the I/O layer hears of it. */
export function peerErrorTests(create: CreateIo): void {
  describe('ICMP errors', () => {
    for (const host of ['127.0.0.1', '::1'] as const) {
      it(`tell which peer does not listen, once for each datagram, and leave no work behind, on ${host}`, async (t) => {
        const { io, seen } = started(t, create)
        if (!hears(t, io)) return
        const gone = await closedPort(host)
        await bound(io, seen, host)
        for (let count = 1; count <= 3; count++) {
          io.sendToPeer(1, gone, Buffer.from('x'), 0, 1)
          await seen.until(() => seen.peerErrors.length === count)
        }
        const icmp = [...PORT_UNREACHABLE[host]]
        assert.deepEqual(seen.peerErrors, new Array(3).fill({ relay: 1, peer: formatAddress(gone), icmp }))
        const { batches } = seen
        io.wakeAt(io.now() + 30)
        await seen.until(() => seen.wakes === 1)
        assert.ok(seen.batches - batches <= 3, `${seen.batches - batches} batches for nothing`)
      })
    }

    it('are bounded for each relay socket, and counted beyond', async (t) => {
      const { io, seen } = started(t, create)
      if (!hears(t, io)) return
      const [gone, other] = [await closedPort('127.0.0.1'), await udpPeer(t)]
      await bound(io, seen, '127.0.0.1')
      while (io.counters.peerErrorsDropped === 0) {
        io.sendToPeer(1, gone, Buffer.from('x'), 0, 1)
        const heard = other.next()
        io.sendToPeer(1, other.address, Buffer.from('y'), 0, 1)
        assert.equal(String(await heard), 'y')
      }
      assert.ok(seen.peerErrors.length >= 20)
      io.bindRelay(2, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.includes(2))
      io.sendToPeer(2, gone, Buffer.from('x'), 0, 1)
      await seen.until(() => seen.peerErrors.some(({ relay }) => relay === 2))
    })

    it('that wait when a relay socket is closed are of no concern to the next', async (t) => {
      const { io, seen } = started(t, create)
      if (!hears(t, io)) return
      const gone = await closedPort('127.0.0.1')
      await bound(io, seen, '127.0.0.1')
      io.sendToPeer(1, gone, Buffer.from('x'), 0, 1)
      await Promise.resolve()
      io.closeRelay(1)
      io.bindRelay(2, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.includes(2))
      io.sendToPeer(2, gone, Buffer.from('x'), 0, 1)
      await seen.until(() => seen.peerErrors.length > 0)
      assert.deepEqual(
        seen.peerErrors.map(({ relay }) => relay),
        [2],
      )
    })
  })
}

function hears(t: TestContext, io: RelayIo): boolean {
  if (!io.peerErrors) t.skip('this I/O layer does not hear of ICMP errors')
  return io.peerErrors ?? false
}

async function bound(io: RelayIo, seen: Recorder, host: string): Promise<void> {
  io.bindRelay(1, literal(host, 0), { dontFragment: false })
  await seen.until(() => seen.bound.includes(1))
}

/** An address that nobody listens on. */
async function closedPort(host: string): Promise<TransportAddress> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4').bind(0, host)
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return literal(host, port)
}
