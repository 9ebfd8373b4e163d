import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { TcpTurnClient } from '../../../test/support/tcp-turn-client.ts'
import { REALM, request, USER } from '../../../test/support/turn-harness.ts'
import { ticketOf, UdpTurnClient } from '../../../test/support/udp-turn-client.ts'
import { relayConfig } from '../../api/config.ts'
import { selfSigned } from '../../io/testing/certificate.ts'
import { ended } from '../../io/testing/ended.ts'
import { readBytes } from '../../io/testing/frames.ts'
import { formatAddress } from '../../stun/address-text.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunWriter } from '../../stun/writer.ts'
import { echoPeer } from '../../testing/udp-client.ts'
import { LOOPS, startShards } from './testing/start-shards.ts'

const CHANNEL = 0x4000
/** So many come to one loop once in a thousand times. */
const CONNECTIONS = 10
const MOVES = 6

async function start(t: TestContext, protocol: 'udp' | 'tcp' | 'tls' = 'udp') {
  const { shards, threads, until } = startShards(
    t,
    relayConfig.parse({
      realm: REALM,
      mobility: true,
      listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
      relay: { addresses: [{ bind: '127.0.0.1', advertise: '127.0.0.1' }] },
      credentials: { users: [USER] },
      peers: { allow: ['127.0.0.1'], tcp: true },
      limits: { allocationsPerUser: 1000 },
    }),
  )
  shards.setObserved(true)
  const { port } = await shards.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
  if (protocol === 'tls') shards.setTls(await selfSigned('relay.test'))
  const streams =
    protocol === 'udp' ? port : (await shards.listen({ protocol, address: '127.0.0.1', port: 0 })).port
  const stream = () => TcpTurnClient.open(t, streams, protocol === 'tls', USER)
  const carried = () => threads.map(({ gauges }) => gauges.get('allocations'))
  const open = () => UdpTurnClient.open(t, port, USER)
  /** A client whose datagrams come to this loop. */
  const clientOf = async (loop: number): Promise<UdpTurnClient> => {
    for (;;) {
      const client = await open()
      const before = carried()
      await client.allocate()
      await until(() => carried().join() !== before.join())
      const there = carried()[loop]! > before[loop]!
      await client.refresh(0)
      await until(() => carried().join() === before.join())
      if (there) return client
    }
  }
  const peer = await echoPeer()
  t.after(peer.close)
  return { shards, carried, until, open, clientOf, stream, peer: formatAddress(peer.address) }
}

const mobile = (writer: StunWriter) => writer.addFlag(ATTRIBUTE.MobilityTicket)

describe('a client of two event loops', { skip: process.platform !== 'linux', timeout: 20_000 }, () => {
  it('RFC 8016 §3.2.2: moves to an address whose datagrams come to another loop, and all it sends follows', async (t) => {
    const { clientOf, carried, peer } = await start(t)
    const [home, away] = [await clientOf(0), await clientOf(1)]
    const ticket = ticketOf(await home.allocate(mobile))
    await home.bind(CHANNEL, peer)
    assert.equal((await away.present(ticket)).code, 0)
    assert.equal(await away.echo(CHANNEL, 'from there'), 'from there')
    assert.equal((await away.refresh()).code, 0)
    assert.equal((await home.refresh()).code, 437, 'where it was it is forgotten')
    assert.deepEqual(carried(), [1, 0])
  })

  it('goes from loop to loop and back, and takes nobody with it', async (t) => {
    const { clientOf, carried, until, open, peer } = await start(t)
    const others = await Promise.all(Array.from({ length: 16 }, open))
    for (const other of others) {
      await other.allocate()
      await other.bind(CHANNEL, peer)
    }
    const before = carried()
    const [home, away, back] = [await clientOf(0), await clientOf(1), await clientOf(0)]
    const moved = await away.present(ticketOf(await home.allocate(mobile)))
    await away.bind(CHANNEL, peer)
    assert.equal((await back.present(ticketOf(moved))).code, 0)
    assert.equal(await back.echo(CHANNEL, 'again'), 'again')
    for (const other of others) assert.equal(await other.echo(CHANNEL, 'here'), 'here')
    assert.deepEqual(carried(), [before[0]! + 1, before[1]])
    assert.equal((await back.refresh(0)).code, 0)
    await until(() => carried().join() === before.join())
  })

  it('RFC 8656 §7.2: gets the port that it reserved on the other loop', async (t) => {
    const { clientOf, carried } = await start(t)
    const [first, second] = [await clientOf(0), await clientOf(1)]
    const reserved = await first.allocate((writer) => writer.addEvenPort(true))
    const redeemed = await second.allocate((writer) =>
      writer.addBytes(ATTRIBUTE.ReservationToken, reserved.token!),
    )
    const port = ({ relayed }: typeof reserved) => Number(relayed![0]!.split(':')[1])
    assert.deepEqual([redeemed.code, port(redeemed)], [0, port(reserved) + 1])
    assert.deepEqual(carried(), [2, 0])
  })

  it('is refused, and stays where it is, with a ticket that is not its own', async (t) => {
    const { clientOf, carried, until } = await start(t)
    const [home, thief] = [await clientOf(0), await clientOf(1)]
    const ticket = ticketOf(await home.allocate(mobile))
    const options = (password: string) => ({
      user: { ...USER, password },
      nonce: thief.nonce,
      attributes: (writer: StunWriter) => void writer.addBytes(ATTRIBUTE.MobilityTicket, ticket),
    })
    assert.equal((await thief.ask(METHOD.Refresh, options('guessed'))).code, 401)
    await thief.allocate()
    await until(() => carried().join() === '1,1')
    assert.equal((await home.refresh()).code, 0)
  })

  it('cannot hold up the loops with what it asks of the other one', async (t) => {
    const { shards, clientOf, open } = await start(t)
    const [home, flooder] = [await clientOf(0), await clientOf(1)]
    const ticket = ticketOf(await home.allocate(mobile))
    const attributes = (writer: StunWriter) => void writer.addBytes(ATTRIBUTE.MobilityTicket, ticket)
    const user = { ...USER, password: 'guessed' }
    for (let i = 0; i < 300; i++)
      flooder.send(request(METHOD.Refresh, { user, nonce: flooder.nonce, attributes }))
    const client = await open()
    assert.equal((await client.allocate()).code, 0)
    assert.equal((await home.refresh()).code, 0)
    await shards.count()
    assert.ok(shards.status.counters.drops['loop-budget'] >= 200)
  })

  for (const protocol of ['tcp', 'tls'] as const) {
    it(`RFC 6062 §5.4: binds its data connections, whichever loops they come to (${protocol})`, async (t) => {
      const { stream } = await start(t, protocol)
      const control = await stream()
      const relayed = await control.allocate()
      await control.permit('127.0.0.1:1')
      for (let i = 0; i < CONNECTIONS; i++) {
        const peer = net.connect({ port: Number(relayed.split(':')[1]), host: '127.0.0.1' })
        t.after(() => void peer.destroy())
        const { connection } = await control.next(({ method }) => method === 'ConnectionAttempt')
        const data = await control.bind(connection!, 'early ')
        data.write('and late')
        assert.equal((await readBytes(peer, 14)).toString(), 'early and late')
        const large = randomBytes(300_000)
        peer.end(large)
        assert.ok((await readBytes(data, large.length)).equals(large))
        await ended(data)
      }
    })

    it(`RFC 8016 §3.2.2: moves from UDP to a stream of another loop (${protocol})`, async (t) => {
      const { clientOf, carried, until, stream, peer } = await start(t, protocol)
      for (let i = 0; i < MOVES; i++) {
        const home = await clientOf(i % LOOPS)
        const before = carried()
        const ticket = ticketOf(await home.allocate(mobile))
        const away = await stream()
        const moved = await away.request(METHOD.Refresh, (writer) =>
          writer.addBytes(ATTRIBUTE.MobilityTicket, ticket),
        )
        assert.equal(moved.code, 0)
        assert.equal((await away.permit(peer)).code, 0)
        const end = await away.request(METHOD.Refresh, (writer) => writer.addUint32(ATTRIBUTE.Lifetime, 0))
        assert.equal(end.code, 0)
        assert.equal((await home.refresh()).code, 437)
        await until(() => carried().join() === before.join())
      }
    })
  }
})
