import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { until } from '../../cluster/command.ts'
import { addressesOf, NAMESPACE, relayPods, relayProcess, statusOf, untilRelays } from '../fleet.ts'
import { Load, type LoadAnswer } from '../load.ts'
import { OPEN_HOST } from '../world.ts'
import { figure, type Story } from './story.ts'

const WITHDRAWN_MS_MAX = 5_000
/** Two relays of 60 with 40 each are beyond the target of 60 %. */
const ALLOCATIONS_A_RELAY = 40
/** So many stay on each relay, so that whichever goes has some to wait for. */
const KEPT = 2
/** A draining relay with live allocations must be there still after this time. */
const DRAINING_MS = 15_000

/** A relay whose pod is killed, or whose process crashes, leaves `/v1/ice` at once and is replaced. */
export async function killRelays(story: Story): Promise<void> {
  const { kube } = story.world
  await kill(story, 'pod killed', (name) =>
    kube(`delete -n ${NAMESPACE} pod/${name} --grace-period=0 --force --wait=false`),
  )
  await kill(story, 'process killed', async (name) => {
    process.kill(await relayProcess(name), 'SIGKILL')
  })
}

async function kill(
  { world, ice }: Story,
  how: string,
  strike: (name: string) => Promise<unknown>,
): Promise<void> {
  await untilRelays(world, 'public', 2, 60_000)
  const [victim] = await relayPods(world, 'public')
  const address = world.nodes.find(({ name }) => name === victim!.node)!.address
  const isHandedOut = async () => addressesOf(await ice.ask('public')).includes(address)
  assert.ok(await isHandedOut())
  const startedAt = performance.now()
  const struck = strike(victim!.name)
  await until('its address is not handed out any more', async () => !(await isHandedOut()), { everyMs: 50 })
  const ms = performance.now() - startedAt
  figure(`relay ${how} to address gone from /v1/ice`, ms)
  assert.ok(ms <= WITHDRAWN_MS_MAX, `took ${ms} ms`)
  await struck
  await untilRelays(world, 'public', 2, 90_000)
  figure(`relay ${how} to fleet whole again`, performance.now() - startedAt)
}

/** Load makes the fleet grow; its end makes it shrink, and no allocation is lost on the way. */
export async function growAndShrink({ world, ice }: Story, t: TestContext): Promise<void> {
  const load = new Load(OPEN_HOST.netns, OPEN_HOST.addresses[1], join(world.plane.directory, 'log/load.log'))
  t.after(() => load.stop())
  const open = async (address: string, count: number) => {
    const { username, credential } = (await ice.ask('public')).iceServers[0]!
    return load.order({ do: 'open', address: `${address}:3478`, username, credential, count })
  }
  for (const address of addressesOf(await ice.ask('public'))) {
    assert.deepEqual((await open(address, ALLOCATIONS_A_RELAY)).refusals, [])
  }
  const startedAt = performance.now()
  await untilRelays(world, 'public', 3, 60_000)
  figure('load to a third relay Ready', performance.now() - startedAt)
  const { autoscaling, relays = [] } = await statusOf(world, 'public')
  console.log(autoscaling)
  const addresses = relays.map(({ address }) => address!)
  for (const address of addresses) await open(address, KEPT)

  for (const address of addresses) await load.order({ do: 'close', relay: address, keep: KEPT })
  const quietAt = performance.now()
  const victim = await until(
    'a relay drains',
    async () => (await statusOf(world, 'public')).relays?.find(({ state }) => state === 'Draining'),
    { timeoutMs: 90_000, everyMs: 250 },
  )
  figure('end of load to a relay that drains', performance.now() - quietAt)
  const address = victim.address!
  const isThere = async () => (await relayPods(world, 'public')).find(({ name }) => name === victim.name)

  await refusesNewOnes(open, address)
  assert.ok(!addressesOf(await ice.ask('public')).includes(address), 'it is handed out still')
  const held = (await load.order({ do: 'report' })).byRelay[address]
  assert.ok(held)
  await wait(DRAINING_MS)
  const during = await load.order({ do: 'report' })
  assert.deepEqual(during.lost, [])
  assert.equal(during.byRelay[address], held)
  assert.equal((await isThere())?.going, false)

  const emptyAt = performance.now()
  await load.order({ do: 'close', relay: address, keep: 0 })
  await until('the drained relay is deleted', async () => !(await isThere()))
  figure('last allocation closed to relay deleted', performance.now() - emptyAt)
  assert.deepEqual((await load.order({ do: 'report' })).lost, [])
  await load.order({ do: 'close', keep: 0 })
  await untilRelays(world, 'public', 2, 60_000)
}

/** Once it says that it drains, a relay refuses every new allocation. */
async function refusesNewOnes(
  open: (address: string, count: number) => Promise<LoadAnswer>,
  address: string,
): Promise<void> {
  const { refusals } = await until('the draining relay refuses', async () => {
    const answer = await open(address, 1)
    return answer.refusals.length === 1 && answer
  })
  console.log('a draining relay answers', refusals)
  assert.equal(refusals[0]!.step, 'allocate')
}
