import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { formatIp } from '../../stun/address-text.ts'
import { type CreateIo, literal, started, udpPeer } from './setup.ts'

const SIZES = [0, 1, 3, 160, 1472, 9000, 65_507]

/** UDP listeners and relay sockets. */
export function datagramTests(create: CreateIo): void {
  describe('datagrams', () => {
    for (const host of ['127.0.0.1', '::1']) {
      it(`pass both ways unchanged between a client and a listener on ${host}`, async (t) => {
        const { io, seen } = started(t, create)
        const listener = await io.listen({ protocol: 'udp', address: host, port: 0 })
        assert.equal(formatIp(seen.links.get(listener.id)!.local), host)
        assert.equal(seen.links.get(listener.id)!.local.port, listener.port)
        const client = await udpPeer(t, host)
        seen.onClientData = (link, from, buffer, offset, length) => {
          io.sendToClient(link, from, buffer, offset, length)
        }
        for (const size of SIZES) {
          const sent = randomBytes(size)
          const echoed = client.next()
          client.socket.send(sent, listener.port, host)
          assert.deepEqual(await echoed, sent)
          const received = seen.client.at(-1)!
          assert.deepEqual(received.bytes, sent)
          assert.equal(received.socket, listener.id)
          assert.ok(received.from.equals(client.address))
        }
      })

      it(`pass both ways unchanged between a relay socket and a peer on ${host}`, async (t) => {
        const { io, seen } = started(t, create)
        const peer = await udpPeer(t, host)
        io.bindRelay(7, literal(host, 0), { dontFragment: false })
        assert.deepEqual(seen.bound, [], 'never answered within the call')
        await seen.until(() => seen.bound.includes(7))
        seen.onPeerData = (relay, from, buffer, offset, length) =>
          io.sendToPeer(relay, from, buffer, offset, length)
        const first = Buffer.from('hello')
        const heard = new Promise<[Buffer, { port: number }]>((resolve) => {
          peer.socket.once('message', (bytes, remote) => resolve([bytes, remote]))
        })
        io.sendToPeer(7, peer.address, first, 0, first.length)
        const [bytes, remote] = await heard
        assert.deepEqual(bytes, first)
        for (const size of SIZES) {
          const sent = randomBytes(size)
          const echoed = peer.next()
          peer.socket.send(sent, remote.port, host)
          assert.deepEqual(await echoed, sent)
          assert.deepEqual([seen.peer.at(-1)!.socket, seen.peer.at(-1)!.bytes], [7, sent])
        }
      })
    }

    it('may be overwritten as soon as the call that sends them returns', async (t) => {
      const { io, seen } = started(t, create)
      const peer = await udpPeer(t)
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === 1)
      const count = 200
      const got: number[] = []
      const all = new Promise<void>((resolve) => {
        peer.socket.on('message', (bytes) => {
          assert.ok(bytes.every((byte) => byte === bytes[0]))
          if (got.push(bytes[0]!) === count) resolve()
        })
      })
      const buffer = new Uint8Array(600)
      for (let i = 0; i < count; i++) {
        buffer.fill(i)
        io.sendToPeer(1, peer.address, buffer, 50, 500)
        if (i % 20 === 19) await new Promise((resolve) => setImmediate(resolve))
      }
      buffer.fill(255)
      await all
      assert.deepEqual(
        got,
        Array.from({ length: count }, (_, i) => i),
      )
    })

    it('to a peer that refuses them leave the other peers alone', async (t) => {
      const { io, seen } = started(t, create)
      const good = await udpPeer(t)
      const gone = await udpPeer(t)
      const refused = gone.address
      await new Promise<void>((resolve) => gone.socket.close(() => resolve()))
      t.mock.method(gone.socket, 'close', () => undefined)
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === 1)
      for (let i = 0; i < 20; i++) {
        io.sendToPeer(1, refused, Buffer.from('refused'), 0, 7)
        const heard = good.next()
        io.sendToPeer(1, good.address, Buffer.from([i]), 0, 1)
        assert.deepEqual(await heard, Buffer.from([i]))
      }
    })

    it('that cannot be sent are counted, never thrown', async (t) => {
      const { io, seen } = started(t, create)
      const good = await udpPeer(t)
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === 1)
      io.sendToPeer(1, literal('127.0.0.1', 0), Buffer.from('port 0'), 0, 6)
      io.sendToPeer(1, literal('255.255.255.255', 9), Buffer.from('broadcast'), 0, 9)
      io.sendToPeer(1, literal('::1', 9), Buffer.from('other family'), 0, 12)
      io.sendToPeer(1, good.address, Buffer.alloc(65_530), 0, 65_530)
      io.sendToPeer(99, good.address, Buffer.from('no socket'), 0, 9)
      io.sendToClient(99, good.address, Buffer.from('no link'), 0, 7)
      const heard = good.next()
      io.sendToPeer(1, good.address, Buffer.from('still here'), 0, 10)
      assert.equal(String(await heard), 'still here')
      await new Promise((resolve) => setImmediate(resolve))
      assert.equal(io.counters.sendErrors, 4)
    })
  })

  describe('relay sockets', () => {
    it('say that a port is in use, and bind it once it is free', async (t) => {
      const { io, seen } = started(t, create)
      const taken = await udpPeer(t)
      io.bindRelay(1, taken.address, { dontFragment: false })
      await seen.until(() => seen.failed.length === 1)
      assert.deepEqual(seen.failed, [[1, 'port-in-use']])
      io.bindRelay(2, literal('127.0.0.1', 0), { dontFragment: true })
      await seen.until(() => seen.bound.includes(2))
      io.sendToPeer(2, taken.address, Buffer.from('x'), 0, 1)
      const port = await new Promise<number>((resolve) =>
        taken.socket.once('message', (_, from) => resolve(from.port)),
      )
      io.bindRelay(3, literal('127.0.0.1', port), { dontFragment: false })
      await seen.until(() => seen.failed.length === 2)
      io.closeRelay(2)
      io.bindRelay(4, literal('127.0.0.1', port), { dontFragment: false })
      await seen.until(() => seen.bound.includes(4))
    })

    it('say that an address is not of this host', async (t) => {
      const { io, seen } = started(t, create)
      io.bindRelay(5, literal('192.0.2.77', 0), { dontFragment: false })
      await seen.until(() => seen.failed.length === 1)
      assert.deepEqual(seen.failed, [[5, 'unavailable']])
    })

    it('closed before they were bound answer nothing', async (t) => {
      const { io, seen } = started(t, create)
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      io.closeRelay(1)
      io.bindRelay(2, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length > 0)
      assert.deepEqual(seen.bound, [2])
    })
  })
}
