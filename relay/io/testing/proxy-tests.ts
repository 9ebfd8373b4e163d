import assert from 'node:assert/strict'
import { once } from 'node:events'
import { before, describe, it } from 'node:test'
import tls from 'node:tls'
import { formatAddress } from '../../stun/address-text.ts'
import type { TlsMaterial } from '../io.ts'
import { selfSigned } from './certificate.ts'
import { ended } from './ended.ts'
import { bindingRequest, readBytes } from './frames.ts'
import { header, localHeader, proxyHeader } from './proxy-frames.ts'
import { type CreateIo, started, tcpClient, udpPeer } from './setup.ts'

const BEHIND_BALANCER = { address: '127.0.0.1', port: 0, proxyFrom: ['127.0.0.0/8'] } as const
const CLIENT = ['198.51.100.7', 4000] as const
const HEADER = proxyHeader({ source: CLIENT, destination: ['203.0.113.1', 443], tlvs: Buffer.alloc(7) })

/** Listeners behind load balancers that speak the PROXY protocol, version 2. */
export function proxyTests(create: CreateIo): void {
  describe('PROXY v2 over TCP', () => {
    let material: TlsMaterial
    before(async () => {
      material = await selfSigned('relay.example.org')
    })

    it('makes the client of the header the client of the stream', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      const balancer = await tcpClient(t, port)
      balancer.write(Buffer.concat([HEADER, bindingRequest(1)]))
      await seen.until(() => seen.client.length === 1)
      const [link] = seen.streams()
      assert.deepEqual(
        [formatAddress(link!.remote!), formatAddress(link!.local)],
        ['198.51.100.7:4000', '203.0.113.1:443'],
      )
      assert.equal(formatAddress(seen.client[0]!.from), '198.51.100.7:4000')
      assert.deepEqual(seen.client[0]!.bytes, bindingRequest(1))
    })

    it('is taken however its bytes are cut, alone or with what follows', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      const all = Buffer.concat([HEADER, bindingRequest(1)])
      for (let split = 1; split < all.length; split++) {
        const balancer = await tcpClient(t, port)
        balancer.write(all.subarray(0, split))
        await new Promise((resolve) => setImmediate(resolve))
        balancer.write(all.subarray(split))
        await seen.until(() => seen.client.length === split)
        assert.deepEqual(seen.client.at(-1)!.bytes, bindingRequest(1))
      }
      assert.equal(io.counters.proxyHeadersRefused, 0)
    })

    it('stands before TLS', async (t) => {
      const { io, seen } = started(t, create)
      io.setTls(material)
      seen.onClientData = (link, from, buffer, offset, length) =>
        io.sendToClient(link, from, buffer, offset, length)
      const { port } = await io.listen({ protocol: 'tls', ...BEHIND_BALANCER })
      const balancer = await tcpClient(t, port)
      balancer.write(HEADER)
      const client = tls.connect({ socket: balancer, rejectUnauthorized: false })
      t.after(() => void client.destroy())
      await once(client, 'secureConnect')
      client.write(bindingRequest(2))
      assert.deepEqual(await readBytes(client, 20), bindingRequest(2))
      const [link] = seen.streams()
      assert.deepEqual([link!.transport, formatAddress(link!.remote!)], ['tls', '198.51.100.7:4000'])
    })

    it('with LOCAL leaves the balancer the client, for its own checks', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      const balancer = await tcpClient(t, port)
      balancer.write(Buffer.concat([localHeader(), bindingRequest(1)]))
      await seen.until(() => seen.client.length === 1)
      const { port: own } = balancer.address() as { port: number }
      assert.equal(formatAddress(seen.streams()[0]!.remote!), `127.0.0.1:${own}`)
    })

    it('that is none closes the stream and is counted', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      const wrong = [
        bindingRequest(1),
        Buffer.from('PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n'),
        header(0x21, 0x12, Buffer.alloc(12)),
      ]
      for (const [index, bytes] of wrong.entries()) {
        const balancer = await tcpClient(t, port)
        balancer.resume().write(bytes)
        await ended(balancer)
        assert.equal(io.counters.proxyHeadersRefused, index + 1)
      }
      assert.deepEqual(seen.streams(), [])
    })

    it('that never ends is bounded by the time for a first message', async (t) => {
      const { io } = started(t, create, { firstMessageSeconds: 0.05 })
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      for (const start of [HEADER.subarray(0, 20), HEADER]) {
        const balancer = await tcpClient(t, port)
        balancer.resume().write(start)
        await ended(balancer)
      }
    })

    it('from anybody else is garbage', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({
        protocol: 'tcp',
        address: '127.0.0.1',
        port: 0,
        proxyFrom: ['192.0.2.0/24', '::1'],
      })
      const stranger = await tcpClient(t, port)
      stranger.resume().write(Buffer.concat([HEADER, bindingRequest(1)]))
      await ended(stranger)
      assert.equal(io.counters.framingErrors, 1)
      const plain = await tcpClient(t, port)
      plain.write(bindingRequest(2))
      await seen.until(() => seen.client.length === 1)
      assert.equal(io.counters.proxyHeadersRefused, 0)
    })

    it('has the client counted, not the balancer, against the streams of one address', async (t) => {
      const { io, seen } = started(t, create, { perAddress: 2 })
      const { port } = await io.listen({ protocol: 'tcp', ...BEHIND_BALANCER })
      const connect = async (client: string) => {
        const balancer = await tcpClient(t, port)
        balancer.write(Buffer.concat([proxyHeader({ source: [client, 4000] }), bindingRequest(1)]))
        return balancer
      }
      const first = await connect('198.51.100.1')
      for (const client of ['198.51.100.1', '198.51.100.2', '2001:db8::2']) await connect(client)
      await seen.until(() => seen.streams().length === 4)
      const third = await connect('198.51.100.1')
      third.resume()
      await ended(third)
      assert.equal(io.counters.streamsRefused.address, 1)
      first.destroy()
      await seen.until(() => seen.closedLinks.length === 1)
      await connect('198.51.100.1')
      await seen.until(() => seen.streams().length === 5)
      const check = await tcpClient(t, port)
      check.write(Buffer.concat([localHeader(), bindingRequest(1)]))
      await seen.until(() => seen.streams().length === 6)
    })
  })

  describe('PROXY v2 over UDP', () => {
    for (const [host, client] of [
      ['127.0.0.1', ['198.51.100.7', 4000]],
      ['::1', ['2001:db8::7', 5000]],
    ] as const) {
      it(`stands in front of each datagram, and answers go to the balancer, on ${host}`, async (t) => {
        const { io, seen } = started(t, create)
        seen.onClientData = (link, from, buffer, offset, length) =>
          io.sendToClient(link, from, buffer, offset, length)
        const { port } = await io.listen({ protocol: 'udp', address: host, port: 0, proxyFrom: [host] })
        const balancer = await udpPeer(t, host)
        for (const bytes of [0, 1, 7, 4096]) {
          const tlvs = Buffer.alloc(bytes % 4000, 3)
          const payload = Buffer.alloc(bytes, bytes)
          const answer = balancer.next()
          const front = proxyHeader({ source: client, transport: 'datagram', tlvs })
          balancer.socket.send(Buffer.concat([front, payload]), port, host)
          assert.deepEqual(await answer, payload)
          assert.deepEqual(seen.client.at(-1)!.bytes, payload)
          assert.equal(seen.client.at(-1)!.from.port, client[1])
        }
      })
    }

    it('keeps the clients of one balancer port, and the ports of one balancer, apart', async (t) => {
      const { io, seen } = started(t, create)
      const { id, port } = await io.listen({ protocol: 'udp', ...BEHIND_BALANCER })
      const ways = [await udpPeer(t), await udpPeer(t)]
      const clients = ['198.51.100.1', '198.51.100.2', '198.51.100.3']
      for (const [index, client] of clients.entries()) {
        const front = proxyHeader({ source: [client, 4000], transport: 'datagram' })
        ways[index % 2]!.socket.send(Buffer.concat([front, Buffer.from(client)]), port, '127.0.0.1')
        await seen.until(() => seen.client.length === index + 1)
      }
      const heard = ways.map(() => [] as string[])
      const all = new Promise<void>((resolve) => {
        for (const [index, { socket }] of ways.entries()) {
          socket.on('message', (bytes) => {
            heard[index]!.push(String(bytes))
            if (heard.flat().length === clients.length) resolve()
          })
        }
      })
      for (const { from, bytes } of seen.client) io.sendToClient(id, from, bytes, 0, bytes.length)
      await all
      assert.deepEqual(heard, [['198.51.100.1', '198.51.100.3'], ['198.51.100.2']])
    })

    it('that is none drops the datagram, is counted, and leaves the next alone', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'udp', ...BEHIND_BALANCER })
      const balancer = await udpPeer(t)
      const good = proxyHeader({ source: CLIENT, transport: 'datagram' })
      const wrong = [Buffer.alloc(0), bindingRequest(1), HEADER, good.subarray(0, 27)]
      for (const bytes of [...wrong, Buffer.concat([good, bindingRequest(2)])]) {
        balancer.socket.send(bytes, port, '127.0.0.1')
      }
      await seen.until(() => seen.client.length === 1)
      assert.deepEqual(seen.client[0]!.bytes, bindingRequest(2))
      assert.equal(io.counters.proxyHeadersRefused, wrong.length)
    })

    it('from anybody else is data like any other, answered to who sent it', async (t) => {
      const { io, seen } = started(t, create)
      seen.onClientData = (link, from, buffer, offset, length) =>
        io.sendToClient(link, from, buffer, offset, length)
      const { port } = await io.listen({
        protocol: 'udp',
        address: '127.0.0.1',
        port: 0,
        proxyFrom: ['192.0.2.1'],
      })
      const stranger = await udpPeer(t)
      const sent = Buffer.concat([proxyHeader({ source: CLIENT, transport: 'datagram' }), bindingRequest(1)])
      const answer = stranger.next()
      stranger.socket.send(sent, port, '127.0.0.1')
      assert.deepEqual(await answer, sent)
      assert.ok(seen.client[0]!.from.equals(stranger.address))
      assert.equal(io.counters.proxyHeadersRefused, 0)
    })

    it('with LOCAL leaves the balancer the client', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'udp', ...BEHIND_BALANCER })
      const balancer = await udpPeer(t)
      balancer.socket.send(Buffer.concat([localHeader(), bindingRequest(1)]), port, '127.0.0.1')
      await seen.until(() => seen.client.length === 1)
      assert.ok(seen.client[0]!.from.equals(balancer.address))
    })
  })
}
