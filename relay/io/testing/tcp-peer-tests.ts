import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { formatIp } from '../../stun/address-text.ts'
import { ended } from './ended.ts'
import { type CreateIo, literal, started } from './setup.ts'
import { hasTcpPeers, TcpRelay } from './tcp-peer-setup.ts'

/** TCP relay sockets and their connections (RFC 6062), of an I/O layer that has them. */
export function tcpPeerTests(create: CreateIo): void {
  describe('TCP peers', () => {
    for (const host of ['127.0.0.1', '::1']) {
      it(`that connect are named by their address, and given a number: ${host}`, async (t) => {
        if (!hasTcpPeers(t, create)) return
        const relay = await TcpRelay.open(t, create, { host })
        const from: string[] = []
        relay.seen.onPeerConnection = (id, address) => {
          from.push(`${id} ${formatIp(address)} ${address.port}`)
          return 7
        }
        const peer = await relay.peer()
        await relay.seen.until(() => from.length === 1)
        assert.deepEqual(from, [`1 ${host} ${peer.localPort}`])
        relay.peers.close(7)
        await ended(peer)
        assert.deepEqual(relay.seen.closedPeers, [])
      })

      it(`are connected to from the relayed address and port: ${host}`, async (t) => {
        if (!hasTcpPeers(t, create)) return
        const relay = await TcpRelay.open(t, create, { host })
        const servers = [await relay.server(), await relay.server()]
        for (const server of servers) {
          await relay.connect(server.port)
          const socket = await server.next()
          assert.deepEqual([socket.remoteAddress, socket.remotePort], [host, relay.port])
        }
        const peer = await relay.peer()
        await ended(peer)
      })
    }

    it('without a number are closed at once', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create)
      const peer = await relay.peer()
      await ended(peer)
      assert.equal(peer.bytesRead, 0)
    })

    it('that are not there, and hosts that are not, are told as closed', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create)
      const { port } = await TcpRelay.open(t, create)
      const nobody = port === 65535 ? port - 1 : port + 1
      relay.peers.connect(8, 1, literal('127.0.0.1', nobody))
      await relay.seen.until(() => relay.seen.closedPeers.length === 1)
      assert.deepEqual([relay.seen.closedPeers, relay.seen.connected], [[8], []])
    })

    it('bind a port that no other relay has, and free it with their relay socket', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create)
      const { io, seen } = started(t, create)
      io.tcpPeers!.listen(2, literal('127.0.0.1', relay.port))
      await seen.until(() => seen.failed.length === 1)
      assert.deepEqual(seen.failed, [[2, 'port-in-use']])
      io.bindRelay(3, literal('127.0.0.1', relay.port), { dontFragment: false })
      await seen.until(() => seen.failed.length === 2)
      relay.io.closeRelay(1)
      while (seen.bound.length === 0) {
        const failures: number = seen.failed.length
        io.tcpPeers!.listen(4, literal('127.0.0.1', relay.port))
        await seen.until(() => seen.failed.length > failures || seen.bound.length > 0)
      }
    })

    it('end with the io, waiting and spliced', async (t) => {
      if (!hasTcpPeers(t, create)) return
      const relay = await TcpRelay.open(t, create)
      relay.seen.onPeerConnection = () => 7
      const waiting = await relay.peer()
      const server = await relay.server()
      const client = await relay.spliced(await relay.connect(server.port))
      const peer = await server.next()
      // Before the io is closed, as they may be over as soon as that is done.
      const over = Promise.all([ended(waiting), ended(client), ended(peer)])
      peer.resume().on('end', () => peer.end())
      await relay.io.close()
      await over
    })
  })
}
