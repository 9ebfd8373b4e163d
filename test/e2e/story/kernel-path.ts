import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { inNamespace } from '../../../relay/io/linux/testing/network-namespace.ts'
import { tcxPrograms } from '../../../relay/io/linux/testing/tcx-programs.ts'
import { command, until } from '../../cluster/command.ts'
import { addressesOf, applyAndWait, NAMESPACE, relayPods, turnCluster } from '../fleet.ts'
import { Load } from '../load.ts'
import { OPEN_HOST } from '../world.ts'
import { figure, type Story } from './story.ts'

const NAME = 'kernel'
const PORT = 3480
const CLUSTER = {
  replicas: 1,
  datapath: 'Kernel',
  listeners: [{ name: 'udp', protocol: 'UDP', port: PORT }],
  network: { relayPorts: { min: 45_000, max: 49_151 } },
}
const CLIENTS = 10
const OFFLOADED_MIN = 20

/** A relay pod that is not root has its node's kernel forward a call, and leaves no program there. */
export async function forwardInTheKernel({ world, ice }: Story, t: TestContext): Promise<void> {
  const startedAt = performance.now()
  await applyAndWait(world, turnCluster(NAME, CLUSTER))
  const [pod] = await relayPods(world, NAME)
  assert.ok(pod)
  const node = `tf-${pod.node}`
  const variable = '{.spec.containers[0].env[?(@.name=="TURNFLEET_CONTROL_PORT")].value}'
  const port = await world.kube(`get -n ${NAMESPACE} pod ${pod.name} -o jsonpath=${variable}`)

  const load = new Load(OPEN_HOST.netns, OPEN_HOST.addresses[1], join(world.plane.directory, 'log/load.log'))
  t.after(() => load.stop())
  const answer = await ice.ask(NAME)
  const { username, credential } = answer.iceServers[0]!
  const address = `${addressesOf(answer)[0]}:${PORT}`
  const opened = await load.order({ do: 'open', address, username, credential, count: CLIENTS })
  assert.deepEqual(opened.refusals, [])
  const [fromClients, fromPeers] = await until('the kernel forwards, both ways', async () => {
    const counts = await offloadedPackets(node, port)
    return counts.every((count) => count >= OFFLOADED_MIN) && counts
  })
  assert.equal(await programsOn(node), 1)
  assert.deepEqual((await load.order({ do: 'close', keep: 0 })).lost, [])

  await world.kube(`delete -n ${NAMESPACE} turncluster/${NAME}`)
  await until('its relay is gone', async () => (await relayPods(world, NAME)).length === 0, {
    timeoutMs: 60_000,
  })
  assert.equal(await programsOn(node), 0)
  figure('packets forwarded by the kernel', fromClients! + fromPeers!, '')
  figure('a fleet on the kernel path, from apply to gone', performance.now() - startedAt)
}

/** From clients and from peers, as the relay's metrics have it. */
async function offloadedPackets(node: string, port: string): Promise<number[]> {
  // On the loopback of the node.
  const script = `fetch('http://127.0.0.1:${port}/metrics').then((r) => r.text()).then((t) => console.log(t))`
  const text = await command('nsenter', [`--net=/run/netns/${node}`, process.execPath, '-e', script])
  return ['client', 'peer'].map((from) => {
    const line = new RegExp(`^turnfleet_relay_offloaded_packets_total\\{from="${from}"\\} (\\d+)$`, 'm')
    return Number(line.exec(text)?.[1] ?? Number.NaN)
  })
}

/** How many programs are attached where a node is reached by. */
async function programsOn(node: string): Promise<number> {
  const [link] = JSON.parse(await command('ip', ['-n', node, '-j', 'link', 'show', 'wan'])) as {
    ifindex: number
  }[]
  return inNamespace(node, () => tcxPrograms(link!.ifindex))
}
