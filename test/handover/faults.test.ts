import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { TakeOver } from '../../relay/control/hand-over/take-over.ts'
import { DescriptorBox } from '../../relay/io/linux/hand-over/descriptor-box.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { echoPeer, UdpClient } from '../../relay/testing/udp-client.ts'

interface Started {
  readonly relay: RelayChild
  readonly port: number
  readonly socket: string
  /** With the ports that it has. */
  readonly config: RelayConfigInput
}

async function started(t: TestContext): Promise<Started> {
  const relay = new RelayChild()
  t.after(() => relay.stop())
  const socket = join(relay.folder, 'hand-over.sock')
  const config = loopbackConfig({ datapath: 'batched', handOver: { socket } })
  relay.writeConfig(config)
  relay.spawn()
  const listeners = (await relay.ready()).listeners as NonNullable<RelayConfigInput['listeners']>
  return { relay, socket, port: listeners[0]!.port, config: { ...config, listeners } }
}

function another(t: TestContext, config: RelayConfigInput, ...flags: string[]): RelayChild {
  const relay = new RelayChild()
  t.after(() => relay.stop())
  relay.writeConfig(config)
  relay.spawn(...flags)
  return relay
}

async function clientOf(t: TestContext, port: number): Promise<UdpClient> {
  const client = await new UdpClient({ port }).open()
  t.after(() => client.close())
  return client
}

describe('a hand-over', { skip: process.platform !== 'linux', timeout: 60_000, concurrency: 2 }, () => {
  it('leaves a relay with its clients, which ends with the last of them', async (t) => {
    const { relay, port, config } = await started(t)
    const peer = await echoPeer()
    t.after(peer.close)
    const alice = await clientOf(t, port)
    await alice.allocate()
    await alice.permit(peer.address)

    const next = another(t, config, '--take-over')
    await next.ready()
    await relay.line(({ msg }) => msg === 'listeners handed over')
    const bob = await clientOf(t, port)
    await bob.allocate()
    assert.equal(await alice.echo(peer.address, 'still here'), 'still here')
    assert.deepEqual([(await relay.load()).allocations, (await next.load()).allocations], [1, 1])
    assert.equal((await relay.load()).state, 'draining')
    await alice.refresh(0)
    assert.equal(await relay.exited, 0)
  })

  it('is undone when the other relay ends before it serves', async (t) => {
    const { relay, port, socket } = await started(t)
    const peer = await echoPeer()
    t.after(peer.close)
    const alice = await clientOf(t, port)
    await alice.allocate()
    await alice.permit(peer.address)

    const takeOver = await TakeOver.reach(socket)
    const box = new DescriptorBox(join(relay.folder, 'box'))
    t.after(() => box.close())
    const { sockets } = await takeOver!.take(box)
    // One of each event loop.
    assert.deepEqual([...new Set(sockets.map(({ transport }) => transport))].sort(), ['tcp', 'udp'])
    const waiting = (await clientOf(t, port)).allocate()
    assert.equal(await alice.echo(peer.address, 'meanwhile'), 'meanwhile')
    takeOver!.abandon()
    await relay.line(({ msg }) => msg === 'the listeners are read here again')
    await waiting
    assert.equal((await relay.load()).allocations, 2)
    assert.equal(await alice.echo(peer.address, 'and then'), 'and then')
  })

  it('happens only to who asks for it', async (t) => {
    const { relay, port, config } = await started(t)
    const uninvited = another(t, config)
    assert.equal(await uninvited.exited, 1)
    assert.match(uninvited.stderr, new RegExp(`port ${port} is taken`))
    assert.equal((await relay.load()).state, 'serving')
  })

  it('does not stand in the way of a relay after one that has died', async (t) => {
    const { relay, port, config } = await started(t)
    const alice = await clientOf(t, port)
    await alice.allocate()
    const dying = another(t, config, '--take-over')
    await dying.ready()
    await relay.line(({ msg }) => msg === 'listeners handed over')
    dying.signal('SIGKILL')
    await dying.exited

    const next = another(t, config, '--take-over')
    await next.ready()
    const bob = await clientOf(t, port)
    await bob.allocate()
    await alice.refresh()
    assert.deepEqual([(await relay.load()).allocations, (await next.load()).allocations], [1, 1])
  })
})
