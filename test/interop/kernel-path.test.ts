import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { after, before, beforeEach, describe, it } from 'node:test'
import { KernelIo } from '../../relay/io/linux/kernel/kernel-io.ts'
import { tcxPrograms } from '../../relay/io/linux/testing/tcx-programs.ts'
import type { AddressFamily } from '../../relay/stun/address.ts'
import { RelayChild } from '../../relay/testing/relay-child.ts'
import { ADDRESS, Namespaces, whyNot } from './kernel/namespaces.ts'
import { transcript } from './kernel/transcript.ts'
import { Call, CONFIG, datagram, PORT, payload, quiet, type RelayWorld, startWorld } from './kernel/world.ts'

const FAMILIES = [4, 6] as const satisfies readonly AddressFamily[]
const CHANNEL = 0x4001
/** From the smallest that the program takes, over all paddings, to what fits beside every header. */
const SIZES = [8, 9, 20, 33, 46, 47, 48, 160, 161, 162, 163, 511, 512, 513, 1000, 1200, 1201, 1388]

const COMBINATIONS = [true, false].flatMap((pending) =>
  FAMILIES.flatMap((client) =>
    FAMILIES.flatMap((peer) => [undefined, CHANNEL].map((channel) => ({ pending, client, peer, channel }))),
  ),
)

const skip = whyNot() ?? false

describe('the kernel path', { skip }, () => {
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

  for (const { pending, client, peer, channel } of COMBINATIONS) {
    const by = channel === undefined ? 'indications' : 'ChannelData'
    const checksums = pending ? 'left to the hardware' : 'worked out'
    it(`carries ${by}, IPv${client} client, IPv${peer} peer, checksums ${checksums}`, async () => {
      namespaces.setChecksumOffload(pending)
      const call = await Call.open(namespaces, world.ports, { client, peer, channel })
      // The first packet goes through the machine, which then hands the permission down.
      await call.toPeer(payload(1), channel)
      const before = world.throughMachine
      for (const size of SIZES) {
        const data = payload(size)
        assert.deepEqual(await call.toPeer(data, channel), Buffer.from(data))
        call.heard(await call.toClient(data), channel, data)
      }
      assert.equal(world.throughMachine, before)
    })
  }

  it('counts what it carries in the totals of the allocation, as the machine does', async () => {
    const call = await Call.open(namespaces, world.ports, { channel: CHANNEL })
    await call.toPeer(payload(100), CHANNEL)
    const before = { ...world.machine.counters }
    const below = { ...before.offloaded }
    for (const size of [100, 200, 300]) await call.toPeer(payload(size), CHANNEL)
    for (const size of [50, 60]) await call.toClient(payload(size))
    call.turn.refresh(performance.now(), 0)
    await call.until('closed')
    const closed = world.events.findLast((event) => event.kind === 'allocation-closed')
    assert.ok(closed?.kind === 'allocation-closed')
    const { clientPackets, clientBytes, peerPackets, peerBytes } = closed
    assert.deepEqual([clientPackets, clientBytes, peerPackets, peerBytes], [4, 700, 2, 110])
    assert.equal(world.machine.counters.clientBytes - before.clientBytes, 600)
    assert.equal(world.machine.counters.peerPackets - before.peerPackets, 2)
    const { offloaded } = world.machine.counters
    assert.deepEqual(
      [offloaded.clientBytes - below.clientBytes, offloaded.peerBytes - below.peerBytes],
      [600, 110],
    )
    await quiet(call.peer, () => call.sendToPeer(payload(100), CHANNEL))
  })

  it('takes attributes in either order, and leaves to the machine what only it understands', async () => {
    const call = await Call.open(namespaces, world.ports, {})
    await call.toPeer(payload(100))
    const passes = async (through: 0 | 1, ...build: Parameters<Call['indication']>) => {
      const before = world.throughMachine
      const heard = datagram(call.peer)
      call.sendRaw(call.indication(...build))
      assert.deepEqual(await heard, Buffer.from(payload(101)))
      assert.equal(world.throughMachine - before, through)
    }
    const data = payload(101)
    await passes(0, data, 'data-first')
    await passes(0, data, 'software-between')
    await passes(1, data, 'fingerprint')
    await passes(1, data, 'dont-fragment')
  })

  it('sums the payload anew where the sender sent no checksum', async () => {
    const call = await Call.open(namespaces, world.ports, { peer: 6, channel: CHANNEL })
    await call.toPeer(payload(100), CHANNEL)
    const before = world.throughMachine
    namespaces.sendWithoutChecksums(call.client)
    for (const size of [100, 101, 1200]) {
      assert.deepEqual(await call.toPeer(payload(size), CHANNEL), Buffer.from(payload(size)))
    }
    assert.equal(world.throughMachine, before)
  })

  it('hands up what does not fit into the next link, and what came in fragments', async () => {
    const call = await Call.open(namespaces, world.ports, { channel: CHANNEL })
    await call.toPeer(payload(100), CHANNEL)
    const before = world.throughMachine
    const fragmented = payload(1600)
    assert.deepEqual(await call.toPeer(fragmented, CHANNEL), Buffer.from(fragmented))
    const long = payload(1472)
    call.heard(await call.toClient(long), CHANNEL, long)
    assert.equal(world.throughMachine, before + 2)
  })

  it('finds the addresses of sockets that are bound to none', async () => {
    const everywhere = await startWorld(namespaces, { unspecified: true })
    try {
      for (const family of FAMILIES) {
        const options = { client: family, peer: family, channel: CHANNEL }
        const call = await Call.open(namespaces, everywhere.ports, options)
        await call.toPeer(payload(100), CHANNEL)
        const before = everywhere.throughMachine
        assert.deepEqual(await call.toPeer(payload(100), CHANNEL), Buffer.from(payload(100)))
        call.heard(await call.toClient(payload(200)), CHANNEL, payload(200))
        assert.equal(everywhere.throughMachine, before)
      }
    } finally {
      await everywhere.stop()
    }
  })

  it('goes by the MTU and the routes of now', async () => {
    const call = await Call.open(namespaces, world.ports, { channel: CHANNEL })
    await call.toPeer(payload(1300), CHANNEL)
    let before = world.throughMachine
    namespaces.ip('relay', 'link', 'set', 'peer', 'mtu', '1300')
    world.tick()
    assert.deepEqual(await call.toPeer(payload(1300), CHANNEL), Buffer.from(payload(1300)))
    assert.equal(world.throughMachine, ++before)
    namespaces.ip('relay', 'link', 'set', 'peer', 'mtu', '1500')
    namespaces.ip('peer', 'addr', 'add', '10.214.2.77/24', 'dev', 'veth')
    namespaces.ip('relay', 'route', 'add', `${ADDRESS.peer[4]}/32`, 'via', '10.214.2.77')
    world.tick()
    assert.deepEqual(await call.toPeer(payload(1300), CHANNEL), Buffer.from(payload(1300)))
    assert.equal(world.throughMachine, before)
    namespaces.ip('relay', 'route', 'replace', 'unreachable', `${ADDRESS.peer[4]}/32`)
    world.tick()
    await quiet(call.peer, () => call.sendToPeer(payload(100), CHANNEL))
    namespaces.ip('relay', 'route', 'del', 'unreachable', `${ADDRESS.peer[4]}/32`)
  })

  it('does to a thousand packets of all kinds what the batched sockets do', async () => {
    const kernel = await transcript(world, namespaces)
    assert.ok(kernel.throughMachine < 600, 'most of them passed below')
    const batched = await startWorld(namespaces, 'batched')
    try {
      const sockets = await transcript(batched, namespaces)
      assert.ok(kernel.peerHeard.length > 200 && kernel.clientHeard.length > 200)
      assert.deepEqual(kernel.peerHeard, sockets.peerHeard)
      assert.deepEqual(kernel.clientHeard, sockets.clientHeard)
      assert.deepEqual(kernel.totals, sockets.totals)
      assert.deepEqual(kernel.traffic, sockets.traffic)
    } finally {
      await batched.stop()
    }
  })

  it('goes on while the relay stands still, and ends with it when it is killed', async () => {
    const relay = await startRelay(namespaces)
    try {
      const call = await Call.open(namespaces, { 4: PORT, 6: PORT }, { channel: CHANNEL })
      await call.toPeer(payload(100), CHANNEL)
      relay.signal('SIGSTOP')
      const data = payload(160)
      assert.deepEqual(await call.toPeer(data, CHANNEL), Buffer.from(data))
      call.heard(await call.toClient(data), CHANNEL, data)
      const attached = attachedPrograms(world)
      relay.signal('SIGKILL')
      await relay.exited
      assert.deepEqual(
        attachedPrograms(world),
        attached.map((count) => count - 1),
      )
      await quiet(call.peer, () => call.sendToPeer(data, CHANNEL))
      await quiet(call.client, () => call.sendToClient(data))
    } finally {
      await relay.stop()
    }
  })

  it('needs BPF, NET_ADMIN and PERFMON, and nothing else; without one of them the relay says so and serves', async () => {
    const capabilities = ['+bpf', '+net_admin', '+perfmon']
    for (const given of [capabilities, capabilities.slice(1)]) {
      const relay = await startRelay(namespaces, ...asNobody(given.join(',')))
      const { datapath } = relay.lines.find(({ msg }) => msg === 'configuration in force')!
      const warnings = relay.lines.filter(({ level }) => level >= 40)
      await relay.stop()
      if (given === capabilities) {
        assert.equal(datapath, 'kernel')
        assert.deepEqual(warnings, [])
      } else {
        assert.equal(datapath, 'batched')
        assert.equal(warnings.length, 1)
        assert.match(
          warnings[0]!.msg,
          /needs Linux 6.6 and the capabilities BPF.*the batched one serves.*EPERM/,
        )
      }
    }
  })
})

/** How many programs are attached to each interface that the relay of this process is reached by. */
function attachedPrograms({ io }: RelayWorld): number[] {
  return io instanceof KernelIo ? io.offload.interfaces.map(tcxPrograms) : []
}

/** What runs a command with these capabilities and no others. */
function asNobody(capabilities: string): string[] {
  const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
  return ['setpriv', ...user, '--inh-caps', `-all,${capabilities}`, '--ambient-caps', `-all,${capabilities}`]
}

/** A relay on the kernel path in a process of its own. */
async function startRelay(namespaces: Namespaces, ...prefix: string[]): Promise<RelayChild> {
  const relay = new RelayChild(namespaces.at('relay', ...prefix))
  chmodSync(relay.folder, 0o755)
  relay.writeConfig({ ...CONFIG, control: { address: '127.0.0.1', port: 0 }, datapath: 'kernel' })
  relay.spawn()
  await relay.ready()
  return relay
}
