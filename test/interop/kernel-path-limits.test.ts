import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, beforeEach, describe, it } from 'node:test'
import { KernelIo } from '../../relay/io/linux/kernel/kernel-io.ts'
import { turnServerConfig } from '../../relay/turn/server-config.ts'
import { ADDRESS, Namespaces, whyNot } from './kernel/namespaces.ts'
import { Call, configOf, payload, quiet, type RelayWorld, startWorld } from './kernel/world.ts'

const CHANNEL = 0x4001

const skip = whyNot() ?? false

describe('the limits of the kernel path', { skip }, () => {
  let namespaces: Namespaces
  let world: RelayWorld

  before(async () => {
    namespaces = new Namespaces()
    world = await startWorld(namespaces)
  })

  beforeEach(() => world.tick())

  after(async () => {
    await world?.stop()
    namespaces?.remove()
  })

  it('forwards no packet under a permission that has expired, however slow the relay is', async () => {
    const call = await Call.open(namespaces, world.ports, {})
    await call.toPeer(payload(100))
    // What the machine said of the end is what counts: nobody has to come back to take the permission away.
    world.io.offload!.setPermission(world.lastPermission, true, performance.now() - 1)
    const before = world.throughMachine
    await call.toPeer(payload(100))
    assert.equal(world.throughMachine, before + 1)
  })

  it('forwards nothing once the relay has not said for ten seconds that it lives', async () => {
    const call = await Call.open(namespaces, world.ports, {})
    await call.toPeer(payload(100))
    const before = world.throughMachine
    world.io.offload!.tick(performance.now() - 10_001)
    await call.toPeer(payload(100))
    assert.equal(world.throughMachine, before + 1)
    world.tick()
    await call.toPeer(payload(100))
    assert.equal(world.throughMachine, before + 1)
  })

  it('takes back what a new peer policy forbids', async () => {
    const call = await Call.open(namespaces, world.ports, { channel: CHANNEL })
    await call.toPeer(payload(100), CHANNEL)
    await call.toPeer(payload(100), CHANNEL)
    world.machine.updateConfig(turnServerConfig(configOf({ peers: { allow: [ADDRESS.peer[6]] } })))
    await quiet(call.peer, () => call.sendToPeer(payload(100), CHANNEL))
    await quiet(call.client, () => call.sendToClient(payload(100)))
    world.machine.updateConfig(turnServerConfig(configOf()))
  })

  it('admits the ports of a peer that the policy of now admits', async () => {
    const call = await Call.open(namespaces, world.ports, { from: 700 })
    await call.toPeer(payload(100))
    const before = world.throughMachine
    await call.toPeer(payload(100))
    assert.equal(world.throughMachine, before)
    world.io.offload!.setPermission(world.lastPermission, false, performance.now() + 10_000)
    await call.toPeer(payload(100))
    assert.equal(world.throughMachine, before + 1)
  })

  for (const [what, limits, packets] of [
    ['packet rate', { packetsPerSecondPerAllocation: 50 }, 50],
    ['byte rate', { bytesPerSecondPerAllocation: 8000 }, 50],
  ] as const) {
    it(`holds the ${what} of an allocation, both ways and through the machine together`, async () => {
      world.machine.updateConfig(turnServerConfig(configOf({ limits })))
      const call = await Call.open(namespaces, world.ports, { channel: CHANNEL })
      const started = performance.now()
      await call.toPeer(payload(160), CHANNEL)
      let heard = 1
      call.peer.on('message', () => heard++)
      call.client.on('message', (message) => {
        if (message[0] === CHANNEL >> 8) heard++
      })
      const dropped = world.machine.counters.drops['rate-limit']
      for (let i = 0; i < 150; i++) {
        // Every tenth packet has a DONT-FRAGMENT, which the program leaves to the machine.
        if (i % 10 === 0) call.sendRaw(call.indication(payload(160), 'dont-fragment'))
        else call.sendToPeer(payload(160), CHANNEL)
        call.sendToClient(payload(160))
      }
      await call.settled()
      world.tick()
      const most = packets + ((performance.now() - started) * packets) / 1000
      assert.ok(heard >= packets && heard <= most + 1, `${heard} packets passed, and at most ${most} may`)
      assert.equal(world.machine.counters.drops['rate-limit'] - dropped, 301 - heard)
      world.machine.updateConfig(turnServerConfig(configOf()))
    })
  }

  it('leaves what its maps have no room for to the machine', async () => {
    const small = await startWorld(namespaces, { allocations: 1 })
    try {
      const first = await Call.open(namespaces, small.ports, { channel: CHANNEL })
      const second = await Call.open(namespaces, small.ports, { channel: CHANNEL })
      for (const call of [first, second]) await call.toPeer(payload(100), CHANNEL)
      const before = small.throughMachine
      for (const call of [first, second]) await call.toPeer(payload(100), CHANNEL)
      assert.equal(small.throughMachine, before + 1)
    } finally {
      await small.stop()
    }
  })

  it('leaves no descriptor open', async () => {
    const round = async () => {
      const io = KernelIo.open(10)
      await io.close()
      await io.close()
    }
    await round()
    const before = readdirSync('/proc/self/fd').length
    for (let i = 0; i < 3; i++) await round()
    assert.equal(readdirSync('/proc/self/fd').length, before)
  })
})
