import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Connection } from 'werift-ice'
import { type InteropRelay, interopRelay, USER } from './relay.ts'

/** What werift calls the way to its TURN server. */
const TRANSPORTS = ['udp', 'tcp', 'tls'] as const

describe('werift-ice', { timeout: 30_000 }, () => {
  let relay: InteropRelay
  before(async () => {
    relay = await interopRelay()
  })
  after(async () => {
    await relay.child.stop()
    // werift leaves the sockets and timers of its TURN connections open; nothing of ours is left by now.
    setImmediate(() => process.exit())
  })

  function agent(controlling: boolean, transport: (typeof TRANSPORTS)[number]): Connection {
    return new Connection(controlling, {
      forceTurn: true,
      turnServer: ['127.0.0.1', relay.port(transport)],
      turnUsername: USER.username,
      turnPassword: USER.password,
      turnTransport: transport,
      turnTlsOptions: { rejectUnauthorized: false },
    })
  }

  for (const transport of TRANSPORTS) {
    it(`connects two agents through the relay over ${transport.toUpperCase()}`, async () => {
      const [alice, bob] = [agent(true, transport), agent(false, transport)]
      await Promise.all([introduce(alice, bob), introduce(bob, alice)])
      assert.ok([...alice.localCandidates, ...bob.localCandidates].every(({ type }) => type === 'relay'))
      await Promise.all([alice.connect(), bob.connect()])
      await echoes(alice, bob, 'from alice')
      await echoes(bob, alice, 'from bob')
      const load = await relay.child.load()
      assert.ok(load.allocations >= 2)
      await Promise.all([alice.close(), bob.close()])
    })
  }
})

/** Gives `to` everything it needs of `from`. */
async function introduce(from: Connection, to: Connection): Promise<void> {
  await from.gatherCandidates()
  to.setRemoteParams({ iceLite: false, usernameFragment: from.localUsername, password: from.localPassword })
  for (const candidate of from.localCandidates) await to.addRemoteCandidate(candidate)
  await to.addRemoteCandidate(undefined)
}

async function echoes(from: Connection, to: Connection, text: string): Promise<void> {
  const heard = new Promise<string>((resolve) => {
    to.onData.once((data) => resolve(String(data)))
  })
  await from.send(Buffer.from(text))
  assert.equal(await heard, text)
}
