import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { until } from '../../cluster/command.ts'
import { addressesOf, applyAndWait, NAMESPACE, relayPods, statusOf, turnCluster } from '../fleet.ts'
import { Load } from '../load.ts'
import { OPEN_HOST } from '../world.ts'
import { figure, type Story } from './story.ts'

const NAME = 'in-place'
const PORT = 3480
const HELD = 20
/** How often a new client comes while the relay is replaced. */
const NEWCOMER_MS = 100

/** One relay on the one node that it may run on; `change` makes the running one an old revision. */
function fleet(node: string, change: string): string {
  return turnCluster(NAME, {
    replicas: 1,
    update: { strategy: 'HandOver' },
    listeners: [{ name: 'udp', protocol: 'UDP', port: PORT }],
    network: { relayPorts: { min: 30_000, max: 34_999 } },
    limits: { allocationsPerUser: 4000 },
    pod: { nodeSelector: { 'kubernetes.io/hostname': node }, annotations: { change } },
  })
}

/** A relay is replaced where no other node is free: its calls stay, and every newcomer is served meanwhile. */
export async function upgradeInPlace({ world, ice }: Story, t: TestContext): Promise<void> {
  const { name: node } = world.nodes[0]!
  await applyAndWait(world, fleet(node, 'before'))
  const [old] = await relayPods(world, NAME)
  const log = join(world.plane.directory, 'log/upgrade.log')
  const load = new Load(OPEN_HOST.netns, OPEN_HOST.addresses[1], log)
  t.after(() => load.stop())
  const { username, credential } = (await ice.ask(NAME)).iceServers[0]!
  const [address] = addressesOf(await ice.ask(NAME))
  const open = (count: number) =>
    load.order({ do: 'open', address: `${address}:${PORT}`, username, credential, count })
  assert.deepEqual((await open(HELD)).refusals, [])

  const startedAt = performance.now()
  await world.plane.kubectl(['apply', '-f', '-'], fleet(node, 'after'))
  let newcomers = 0
  const successor = await until(
    'the new relay is the one that serves',
    async () => {
      assert.deepEqual((await open(1)).refusals, [])
      assert.deepEqual(addressesOf(await ice.ask(NAME)), [address])
      newcomers++
      const { relays = [] } = await statusOf(world, NAME)
      const states = new Map(relays.map((relay) => [relay.name, relay.state]))
      const next = relays.find(({ name, state }) => name !== old!.name && state === 'Ready')
      return states.get(old!.name) === 'Draining' && next?.name
    },
    { timeoutMs: 60_000, everyMs: NEWCOMER_MS },
  )
  figure('a change to the new relay in the place of the old', performance.now() - startedAt)
  console.log(`${newcomers} newcomers meanwhile`)
  const pods = await relayPods(world, NAME)
  assert.deepEqual(
    pods.map((pod) => [pod.name, pod.node, pod.going]).sort(),
    [old!.name, successor].map((name) => [name, node, false]).sort(),
  )
  const during = await load.order({ do: 'report' })
  assert.deepEqual([during.lost, during.byRelay[address!]], [[], HELD + newcomers])
  await load.order({ do: 'close', keep: 0 })
  await until('the old relay is deleted', async () => (await relayPods(world, NAME)).length === 1)
  assert.deepEqual((await open(1)).refusals, [])
  await load.order({ do: 'close', keep: 0 })
  await world.kube(`delete -n ${NAMESPACE} turncluster/${NAME}`)
  await until('its relays are gone', async () => (await relayPods(world, NAME)).length === 0, {
    timeoutMs: 60_000,
  })
}
