import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import type { RelayIo } from '../io.ts'
import { selfSigned } from './certificate.ts'
import { bindingRequest } from './frames.ts'
import { type CreateIo, literal, started, tcpClient, udpPeer } from './setup.ts'

const PORT_TRIES_MAX = 5

/** Clock, listeners that cannot be had, and the end. */
export function lifecycleTests(create: CreateIo): void {
  describe('clock', () => {
    it('wakes once, not before its time, at the last moment that was asked for', async (t) => {
      const { io, seen } = started(t, create)
      const start = io.now()
      io.wakeAt(start + 60_000)
      io.wakeAt(start + 20)
      await seen.until(() => seen.wakes === 1)
      assert.ok(io.now() >= start + 20)
      io.wakeAt(io.now() + 5)
      io.wakeAt(Number.POSITIVE_INFINITY)
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === 1)
      assert.equal(seen.wakes, 1)
    })
  })

  describe('listeners', () => {
    for (const protocol of ['udp', 'tcp', 'tls'] as const) {
      it(`(${protocol}) that cannot be bound say why and what to do`, async (t) => {
        const { io } = started(t, create)
        const other = started(t, create).io
        const { port } = await other.listen({ protocol, address: '127.0.0.1', port: 0 })
        const where = `${protocol.toUpperCase()} 127.0.0.1:${port}`
        await assert.rejects(io.listen({ protocol, address: '127.0.0.1', port }), (error: Error) => {
          assert.match(
            error.message,
            new RegExp(`cannot listen on ${where}: port ${port} is taken; stop the program`),
          )
          return true
        })
        await assert.rejects(
          io.listen({ protocol, address: '192.0.2.77', port: 0 }),
          /this host has no such address/,
        )
        await other.close()
        assert.equal((await io.listen({ protocol, address: '127.0.0.1', port })).port, port)
      })
    }

    it('of one port on both families do not disturb each other', async (t) => {
      const { io } = started(t, create)
      for (const protocol of ['udp', 'tcp'] as const) {
        await onBothFamilies(io, protocol)
      }
    })

    it('of UDP end with their link', async (t) => {
      const { io, seen } = started(t, create)
      const { id, port } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
      await io.closeListener(id)
      assert.deepEqual(seen.closedLinks, [id])
      await io.listen({ protocol: 'udp', address: '127.0.0.1', port })
    })
  })

  describe('close', () => {
    it('leaves no handle and frees every port', async (t) => {
      const { io, seen } = started(t, create)
      io.setTls(await selfSigned('relay.example.org'))
      const before = sockets()
      const udp = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
      const tls = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      io.wakeAt(io.now() + 60_000)
      const client = await tcpClient(t, tls.port)
      client.write(bindingRequest())
      await seen.until(() => seen.streams().length === 1 && seen.bound.length === 1)
      await Promise.all([once(client, 'close'), client.destroy(), io.close()])
      assert.deepEqual(sockets(), before)
      const again = started(t, create).io
      await again.listen({ protocol: 'udp', address: '127.0.0.1', port: udp.port })
      await again.listen({ protocol: 'tcp', address: '127.0.0.1', port: tls.port })
    })

    it('may be called twice and swallows what is sent afterwards', async (t) => {
      const { io, seen } = started(t, create)
      const peer = await udpPeer(t)
      const { id } = await io.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
      io.bindRelay(1, literal('127.0.0.1', 0), { dontFragment: false })
      await seen.until(() => seen.bound.length === 1)
      await io.close()
      await io.close()
      io.sendToPeer(1, peer.address, Buffer.from('x'), 0, 1)
      io.sendToClient(id, peer.address, Buffer.from('x'), 0, 1)
      io.closeRelay(1)
      io.closeLink(id)
    })
  })
}

/** The sockets that this process has open. */
function sockets(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /^(udp|tcp|tls)/i.test(kind))
}

/** Another program may have the port that the system chose for one family on the other. */
async function onBothFamilies(io: RelayIo, protocol: 'udp' | 'tcp'): Promise<void> {
  for (let tries = 1; ; tries++) {
    const { id, port } = await io.listen({ protocol, address: '::', port: 0 })
    try {
      await io.listen({ protocol, address: '0.0.0.0', port })
      return
    } catch (error) {
      if (tries === PORT_TRIES_MAX) throw error
      await io.closeListener(id)
    }
  }
}
