import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { before, describe, it, type TestContext } from 'node:test'
import { formatIp } from '../../../stun/address-text.ts'
import type { StreamLimits, TlsMaterial } from '../../io.ts'
import { selfSigned } from '../../testing/certificate.ts'
import { bindingRequest } from '../../testing/frames.ts'
import { proxyHeader } from '../../testing/proxy-frames.ts'
import { started, udpPeer } from '../../testing/setup.ts'
import { LinuxIo } from '../linux-io.ts'
import { DTLS1_2_VERSION } from '../openssl/constants.ts'
import { openSessions } from '../openssl/tls-session.ts'
import { SendQueue } from '../send-queue.ts'
import { DtlsClient } from '../testing/dtls-client.ts'

const DTLS1_VERSION = 0xfeff
const RECORD_CLIENT_HELLO = 22
const EF_ECT_1 = (46 << 2) | 1

describe('DTLS', { timeout: 30_000 }, () => {
  let material: TlsMaterial
  before(async () => {
    material = await selfSigned('relay.example.org')
  })

  /** A relay that sends everything back to whoever sent it. */
  async function echoing(t: TestContext, limits: Partial<StreamLimits> = {}) {
    const { io, seen } = started(t, () => new LinuxIo(), limits)
    seen.onClientData = (link, from, buffer, offset, length) =>
      io.sendToClient(link, from, buffer, offset, length)
    io.setTls(material)
    const { port, id } = await io.listen({ protocol: 'dtls', address: '127.0.0.1', port: 0 })
    return { io, seen, port, id }
  }

  it('carries datagrams of every size that fits a record, both ways, on a link of its own', async (t) => {
    const { seen, port } = await echoing(t)
    const client = await DtlsClient.connect(t, port, { serverName: 'turn.example.org' })
    for (const size of [1, 20, 1200, 1500, 16_384]) {
      const sent = randomBytes(size)
      assert.deepEqual(await client.exchange(sent), sent)
    }
    const [link] = seen.streams()
    assert.deepEqual(
      [seen.streams().length, link!.transport, link!.remote!.port],
      [1, 'dtls', client.socket.address().port],
    )
    assert.equal(link!.local.port, port)
    assert.equal(link!.serverName, 'turn.example.org')
  })

  for (const host of ['127.0.0.1', '::1'] as const) {
    it(`gives application data the DSCP and ECN of its datagram, both ways, and its own messages none, on ${host} (RFC 8656 §14)`, async (t) => {
      const { io, seen } = started(t, () => new LinuxIo())
      const pushed = t.mock.method(SendQueue.prototype, 'push').mock
      const classes = () => pushed.calls.map((call) => call.arguments[5] ?? 0)
      seen.onClientData = (...data) => io.sendToClient(...data)
      io.setTls(material)
      const { port } = await io.listen({ protocol: 'dtls', address: host, port: 0 })
      const client = await DtlsClient.connect(t, port, { host, trafficClass: EF_ECT_1 })
      const handshake = classes()
      assert.ok(handshake.length > 0 && handshake.every((each) => each === 0))
      await client.exchange(randomBytes(100))
      assert.deepEqual(classes().slice(handshake.length), [EF_ECT_1])
      assert.deepEqual(
        seen.client.map(({ trafficClass }) => trafficClass),
        [EF_ECT_1],
      )
    })
  }

  it('keeps nothing for a client that has not sent a cookie back (RFC 6347 §4.2.1)', async (t) => {
    const { io, port } = await echoing(t)
    const client = await DtlsClient.open(t, port, { loses: (direction) => direction === 'received' })
    const others = openSessions()
    for (let i = 0; i < 100; i++) client.raw(client.sent[0]!)
    const stranger = await udpPeer(t)
    stranger.socket.send(client.sent[0]!, port, '127.0.0.1')
    const answer = await stranger.next()
    assert.equal(answer[13], 3, 'a HelloVerifyRequest')
    assert.ok(answer.length < client.sent[0]!.length, 'shorter than what it answers')
    assert.deepEqual([openSessions(), io.counters.dtlsSessionsOpen], [others, 0])
  })

  it('takes a cookie from nobody but the address it was sent to', async (t) => {
    const { io, port } = await echoing(t)
    const client = await DtlsClient.connect(t, port)
    const withCookie = client.sent[1]!
    assert.equal(withCookie[0], RECORD_CLIENT_HELLO)
    const thief = await udpPeer(t)
    thief.socket.send(withCookie, port, '127.0.0.1')
    assert.equal((await thief.next())[13], 3, 'asked for a cookie of its own')
    assert.equal(io.counters.dtlsSessionsOpen, 1)
  })

  it('sends its part of the handshake again when it is lost', async (t) => {
    const { port } = await echoing(t)
    let before = 0
    // All that the relay sends at first, after the HelloVerifyRequest.
    const loses = (direction: string, number: number) => {
      if (direction === 'sent' && number === 1) before = performance.now()
      return direction === 'received' && number > 0 && performance.now() - before < 500
    }
    const client = await DtlsClient.connect(t, port, { loses, patient: true })
    assert.deepEqual(await client.exchange(bindingRequest()), bindingRequest())
  })

  it('is not disturbed by a late copy of the ClientHello, and ended by a new one with a cookie', async (t) => {
    const { io, seen, port } = await echoing(t)
    const client = await DtlsClient.connect(t, port)
    await client.exchange(bindingRequest(1))
    for (const hello of client.sent.slice(0, 2)) client.raw(hello)
    assert.deepEqual(await client.exchange(bindingRequest(2)), bindingRequest(2))
    const from = client.socket.address().port
    client.socket.removeAllListeners('message')
    client.close()
    const again = await DtlsClient.connect(t, port, { from })
    assert.deepEqual(await again.exchange(bindingRequest(3)), bindingRequest(3))
    assert.deepEqual(seen.closedLinks, [seen.streams()[0]!.id])
    assert.equal(io.counters.dtlsSessionsOpen, 1)
  })

  it('is not negotiated again (CVE-2011-1473)', async (t) => {
    const { io, port } = await echoing(t)
    const client = await DtlsClient.connect(t, port)
    await client.exchange(bindingRequest(1))
    const heard = client.heard
    client.renegotiate()
    await client.until(() => client.heard > heard)
    assert.equal(client.heard, heard + 1, 'one alert, no handshake')
    assert.equal(io.counters.tlsHandshakeFailures, 0)
  })

  it('before 1.2 is refused and counted', async (t) => {
    const { io, port } = await echoing(t)
    await assert.rejects(DtlsClient.connect(t, port, { maxVersion: DTLS1_VERSION }))
    assert.deepEqual([io.counters.tlsHandshakeFailures, io.counters.dtlsSessionsOpen], [1, 0])
    await DtlsClient.connect(t, port, { maxVersion: DTLS1_2_VERSION })
  })

  it('accepts the ALPN names of TURN (RFC 7443) and never asks for one', async (t) => {
    const { port } = await echoing(t)
    for (const alpn of ['stun.turn', 'stun.nat-discovery', 'h3', '']) {
      assert.equal((await DtlsClient.connect(t, port, { alpn })).alpn, alpn)
    }
  })

  it('ends with the client, and says goodbye when the relay ends it', async (t) => {
    const { io, seen, port } = await echoing(t)
    const [leaving, sent] = [await DtlsClient.connect(t, port), await DtlsClient.connect(t, port)]
    await leaving.exchange(bindingRequest(1))
    await sent.exchange(bindingRequest(2))
    const [first, second] = seen.streams().map(({ id }) => id)
    leaving.shutdown()
    await seen.until(() => seen.closedLinks.includes(first!))
    io.closeLink(second!)
    assert.deepEqual(seen.closedLinks, [first], 'never told within the call')
    await sent.until(() => sent.ended)
    await seen.until(() => seen.closedLinks.length === 2)
    assert.equal(io.counters.dtlsSessionsOpen, 0)
  })

  it('has as many sessions as are allowed, of an address, half-open and in all', async (t) => {
    for (const [limits, reason] of [
      [{ perAddress: 2 }, 'address'],
      [{ halfOpenPerAddress: 2 }, 'half-open'],
      [{ total: 2 }, 'total'],
    ] as const) {
      const { io, port } = await echoing(t, limits)
      const kept = await DtlsClient.connect(t, port)
      await DtlsClient.connect(t, port)
      const refused = await DtlsClient.open(t, port)
      const probe = await udpPeer(t)
      await refused.until(() => refused.sent.length === 2)
      probe.socket.send(refused.sent[0]!, port, '127.0.0.1')
      await probe.next()
      assert.deepEqual([io.counters.streamsRefused[reason], io.counters.dtlsSessionsOpen], [1, 2])
      kept.shutdown()
      await DtlsClient.connect(t, port)
    }
  })

  it('closes who says nothing in time or is idle, but not who is in use', async (t) => {
    const { io, seen, port } = await echoing(t, { firstMessageSeconds: 0.1, idleSeconds: 0.1 })
    const busy = await DtlsClient.connect(t, port)
    await busy.exchange(bindingRequest(1))
    const [link] = seen.streams()
    io.setLinkInUse(link!.id, true)
    const silent = await DtlsClient.connect(t, port)
    const idle = await DtlsClient.connect(t, port)
    await idle.exchange(bindingRequest(2))
    for (const client of [silent, idle]) await client.until(() => client.ended)
    assert.equal(io.counters.streamsRefused['first-message'], 1)
    assert.deepEqual(await busy.exchange(bindingRequest(3)), bindingRequest(3))
    io.setLinkInUse(link!.id, false)
    await busy.until(() => busy.ended)
  })

  it('shares its port with plain UDP (RFC 7983), and alone takes none', async (t) => {
    const { io, seen, port, id } = await echoing(t)
    const plain = await udpPeer(t)
    plain.socket.send('dropped', port, '127.0.0.1')
    await DtlsClient.connect(t, port)
    const udp = await io.listen({ protocol: 'udp', address: '127.0.0.1', port })
    assert.equal(udp.port, port)
    await assert.rejects(io.listen({ protocol: 'dtls', address: '127.0.0.1', port }), /DTLS .* is taken/)
    const echoed = plain.next()
    plain.socket.send(bindingRequest(1), port, '127.0.0.1')
    assert.deepEqual(await echoed, bindingRequest(1))
    const client = await DtlsClient.connect(t, port)
    assert.deepEqual(await client.exchange(bindingRequest(2)), bindingRequest(2))
    await io.closeListener(id)
    await client.until(() => client.ended)
    const again = plain.next()
    plain.socket.send(bindingRequest(3), port, '127.0.0.1')
    assert.deepEqual(await again, bindingRequest(3))
    await io.closeListener(udp.id)
    assert.ok(seen.closedLinks.includes(udp.id))
    await io.listen({ protocol: 'udp', address: '127.0.0.1', port })
  })

  it('is served over IPv6', async (t) => {
    const { io } = await echoing(t)
    const { port } = await io.listen({ protocol: 'dtls', address: '::1', port: 0 })
    const client = await DtlsClient.connect(t, port, { host: '::1' })
    assert.deepEqual(await client.exchange(bindingRequest(1)), bindingRequest(1))
  })

  it('has the client that a balancer names, and answers by way of the balancer', async (t) => {
    const { io, seen } = await echoing(t)
    const proxyFrom = ['127.0.0.1']
    const { port } = await io.listen({ protocol: 'dtls', address: '127.0.0.1', port: 0, proxyFrom })
    const preface = proxyHeader({ source: ['198.51.100.7', 4000], transport: 'datagram' })
    const client = await DtlsClient.connect(t, port, { preface })
    assert.deepEqual(await client.exchange(bindingRequest(1)), bindingRequest(1))
    const { remote } = seen.streams()[0]!
    assert.deepEqual([formatIp(remote!), remote!.port], ['198.51.100.7', 4000])
  })

  it('does without a certificate as if nobody were there', async (t) => {
    const { io, seen } = started(t, () => new LinuxIo())
    const { port } = await io.listen({ protocol: 'dtls', address: '127.0.0.1', port: 0 })
    const client = await DtlsClient.open(t, port)
    io.setTls(material)
    client.close()
    await DtlsClient.connect(t, port)
    assert.deepEqual(seen.streams(), [])
  })

  it('survives datagrams that are none, and records that were changed on the way', async (t) => {
    const { io, port } = await echoing(t)
    const client = await DtlsClient.connect(t, port)
    await client.exchange(bindingRequest(1))
    for (let round = 0; round < 2000; round++) {
      const changed = Buffer.from(client.sent[round % client.sent.length]!)
      const cut = changed.subarray(0, 1 + ((round * 7) % changed.length))
      cut[(round * 13) % cut.length]! ^= 1 << (round % 8)
      client.raw(cut)
      if (round % 50 === 49) await new Promise((resolve) => setImmediate(resolve))
    }
    const other = await DtlsClient.connect(t, port)
    assert.deepEqual(await other.exchange(bindingRequest(2)), bindingRequest(2))
    assert.ok(io.counters.dtlsSessionsOpen <= 2)
  })

  it('gives back every session of OpenSSL, however it ends', async (t) => {
    const before = openSessions()
    const { io, seen, port } = await echoing(t)
    const clients = await Promise.all(Array.from({ length: 20 }, () => DtlsClient.connect(t, port)))
    for (const client of clients) await client.exchange(bindingRequest())
    assert.equal(openSessions(), before + 40)
    for (const client of clients.slice(0, 10)) client.shutdown()
    await seen.until(() => seen.closedLinks.length === 10)
    seen.onClientData = () => void io.close()
    clients[10]!.send(bindingRequest())
    await clients[19]!.until(() => clients[19]!.ended)
    for (const client of clients) client.close()
    assert.equal(openSessions(), before)
  })
})
