import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../queue/clock.ts'
import { type KubeClient, KubeError } from './client.ts'
import { NetworkSource } from './cluster-networks.ts'
import type { NodeSource } from './node-source.ts'

function setUp() {
  const clock = { ms: 0 }
  const answers: (() => unknown)[] = []
  const nodes = { podCidrs: ['10.244.0.0/24'], addresses: ['203.0.113.10'], mayWatch: true }
  const source = new NetworkSource(
    { get: async () => answers.shift()?.() ?? { items: [] } } as unknown as KubeClient,
    {
      nodes: {
        ...nodes,
        networks: () => nodes,
        get mayWatch() {
          return nodes.mayWatch
        },
      } as unknown as NodeSource,
      apiService: '10.96.0.1',
      clock: { nowMs: () => clock.ms } as Clock,
    },
  )
  const served = () => ({ items: [{ spec: { cidrs: ['10.96.0.0/12', 'fd00::/108'] } }] })
  const refused = (status: number) => () => {
    throw new KubeError(status, '', 'no')
  }
  return { source, clock, answers, nodes, served, refused }
}

test('pods, Services and the API server are named once, and the same object stays while nothing changes', async () => {
  const { source, answers, nodes, served } = setUp()
  answers.push(served)
  const first = await source.current()
  assert.deepEqual(first, {
    internal: ['10.96.0.0/12', '10.244.0.0/24', 'fd00:0:0:0:0:0:0:0/108'],
    nodes: ['203.0.113.10'],
  })
  assert.equal(await source.current(), first)
  nodes.podCidrs = ['10.244.0.0/24', '10.244.1.0/24']
  assert.deepEqual((await source.current()).internal.slice(1, 2), ['10.244.0.0/23'])
})

test('without the rights, or in an old cluster, the API server’s own address is left, and it is said', async () => {
  for (const status of [403, 404]) {
    const { source, answers, nodes, refused } = setUp()
    answers.push(refused(status))
    nodes.mayWatch = false
    nodes.podCidrs = []
    const { internal, missing } = await source.current()
    assert.deepEqual(internal, ['10.96.0.1/32'])
    assert.match(missing ?? '', /may not list nodes/)
  }
})

test('an API server that fails makes nothing forgotten: at the start nothing is said, later the last holds', async () => {
  const { source, clock, answers, served, refused } = setUp()
  answers.push(refused(500), served, refused(500))
  await assert.rejects(source.current())
  const known = await source.current()
  clock.ms += 300_000
  assert.equal(await source.current(), known)
  assert.equal(answers.length, 0)
})
