import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { before, describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { RelayIo, TlsMaterial } from '../io.ts'
import { selfSigned } from './certificate.ts'
import { dribble } from './dribble.ts'
import { bindingRequest, channelData, readBytes } from './frames.ts'
import type { Recorder } from './recorder.ts'
import { type CreateIo, started, tcpClient } from './setup.ts'

/** TLS, and TLS beside plain TCP. */
export function tlsTests(create: CreateIo): void {
  describe('TLS', () => {
    let first: TlsMaterial
    let second: TlsMaterial
    before(async () => {
      first = await selfSigned('first.example.org')
      second = await selfSigned('second.example.org')
    })

    it('and plain TCP are told apart on one port', async (t) => {
      const { io, seen } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const plain = await tcpClient(t, port)
      plain.write(bindingRequest(1))
      assert.deepEqual(await readBytes(plain, 20), bindingRequest(1))
      const secure = await tlsClient(t, port)
      const frames = Buffer.concat([bindingRequest(2), channelData(0x4000, Buffer.alloc(5000, 7))])
      secure.write(frames)
      assert.deepEqual(await readBytes(secure, frames.length), frames)
      assert.deepEqual(
        seen.streams().map(({ transport }) => transport),
        ['tcp', 'tls'],
      )
    })

    it('tells which name the client asked for (RFC 6066 §3), where it asked for one', async (t) => {
      const { io, seen } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      for (const options of [{ servername: 'turn.example.org' }, {}]) {
        const secure = await tlsClient(t, port, options)
        secure.write(bindingRequest(1))
        await readBytes(secure, 20)
      }
      const plain = await tcpClient(t, port)
      plain.write(bindingRequest(2))
      await readBytes(plain, 20)
      assert.deepEqual(
        seen.streams().map(({ serverName }) => serverName),
        ['turn.example.org', undefined, undefined],
      )
    })

    it('takes a ClientHello that comes byte by byte', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const raw = await tcpClient(t, port)
      const secure = tls.connect({ socket: dribble(raw), rejectUnauthorized: false })
      t.after(() => void secure.destroy())
      await once(secure, 'secureConnect')
      secure.write(bindingRequest(3))
      assert.deepEqual(await readBytes(secure, 20), bindingRequest(3))
    })

    it('shares the socket of a tcp listener with the same address and port', async (t) => {
      const { io } = echoing(t, create, first)
      const tcp = await io.listen({ protocol: 'tcp', address: '127.0.0.1', port: 0 })
      await assert.rejects(tlsClient(t, tcp.port), 'a tcp listener alone speaks no TLS')
      const shared = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: tcp.port })
      assert.notEqual(shared.id, tcp.id)
      await tlsClient(t, tcp.port)
      await io.closeListener(tcp.id)
      await tlsClient(t, tcp.port)
      await io.closeListener(shared.id)
      await assert.rejects(tlsClient(t, tcp.port), /ECONNREFUSED/)
    })

    it('without a certificate is refused, plain TCP still served', async (t) => {
      const { io, seen } = started(t, create)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      await assert.rejects(tlsClient(t, port))
      const plain = await tcpClient(t, port)
      plain.write(bindingRequest())
      await seen.until(() => seen.streams().length === 1)
    })

    it('uses a new certificate for new connections and leaves the old ones alone', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const old = await tlsClient(t, port)
      io.setTls(second)
      const fresh = await tlsClient(t, port)
      assert.equal(fingerprint(old), new X509Certificate(first.cert).fingerprint256)
      assert.equal(fingerprint(fresh), new X509Certificate(second.cert).fingerprint256)
      for (const client of [old, fresh]) {
        client.write(bindingRequest(5))
        assert.deepEqual(await readBytes(client, 20), bindingRequest(5))
      }
    })

    it('keeps the old certificate when the new pair does not match', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      assert.throws(() => io.setTls({ cert: second.cert, key: first.key }))
      assert.equal(fingerprint(await tlsClient(t, port)), new X509Certificate(first.cert).fingerprint256)
    })

    it('accepts the ALPN names of TURN (RFC 7443) and never asks for one', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const chosen = async (offered?: string[]) =>
        (await tlsClient(t, port, offered ? { ALPNProtocols: offered } : {})).alpnProtocol
      assert.equal(await chosen(['h2', 'stun.turn']), 'stun.turn')
      assert.equal(await chosen(['stun.nat-discovery']), 'stun.nat-discovery')
      assert.equal(await chosen(['http/1.1']), 'http/1.1')
      assert.equal(await chosen(), false)
    })

    it('is resumed by another relay with the same ticket secret, and by no other', async (t) => {
      const [one, same, other] = ['a', 'a', 'b'].map(
        (ticketSecret) => echoing(t, create, { ...first, ticketSecret }).io,
      )
      const at = async (io: RelayIo) =>
        (await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })).port
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const client = tls.connect({
          host: '127.0.0.1',
          port: await at(one!),
          rejectUnauthorized: false,
          maxVersion,
        })
        t.after(() => void client.destroy())
        client.on('secureConnect', () => client.write(bindingRequest(4)))
        const [session] = (await once(client.resume(), 'session')) as [Buffer]
        for (const io of [same, other]) {
          const again = await tlsClient(t, await at(io!), { session, maxVersion })
          assert.equal(again.isSessionReused(), io === same)
          again.write(bindingRequest(6))
          assert.deepEqual(await readBytes(again, 20), bindingRequest(6))
        }
      }
    })

    it('is not negotiated again (CVE-2011-1473)', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const client = await tlsClient(t, port, { maxVersion: 'TLSv1.2' })
      const outcome = new Promise((resolve) => {
        client.renegotiate({}, () => resolve('negotiated again'))
        client.once('error', () => resolve('refused'))
      })
      client.resume()
      assert.equal(await outcome, 'refused')
    })

    it('before 1.2 is refused and counted', async (t) => {
      const { io } = echoing(t, create, first)
      const { port } = await io.listen({ protocol: 'tls', address: '127.0.0.1', port: 0 })
      const old = {
        minVersion: 'TLSv1' as const,
        maxVersion: 'TLSv1.1' as const,
        ciphers: 'DEFAULT@SECLEVEL=0',
      }
      await assert.rejects(tlsClient(t, port, old))
      assert.equal(io.counters.tlsHandshakeFailures, 1)
      assert.equal((await tlsClient(t, port, { maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2')
    })
  })
}

function echoing(t: TestContext, create: CreateIo, material: TlsMaterial): { io: RelayIo; seen: Recorder } {
  const { io, seen } = started(t, create)
  seen.onClientData = (link, from, buffer, offset, length) =>
    io.sendToClient(link, from, buffer, offset, length)
  io.setTls(material)
  return { io, seen }
}

async function tlsClient(
  t: TestContext,
  port: number,
  options: tls.ConnectionOptions = {},
): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
  t.after(() => void socket.destroy())
  await Promise.race([
    once(socket, 'secureConnect'),
    once(socket, 'close').then(() => Promise.reject(new Error('closed during the handshake'))),
  ])
  socket.on('error', () => undefined)
  return socket
}

function fingerprint(socket: tls.TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256
}
