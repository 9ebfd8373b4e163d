import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { relayConfig } from '../../api/config.ts'
import { UdpClient } from '../../testing/udp-client.ts'
import type { ShardEvent } from '../shard.ts'
import { startShards } from './testing/start-shards.ts'
import type { WorkerShard } from './worker-shard.ts'
import { WorkerShards } from './worker-shards.ts'

const ONLY_LINUX = { skip: process.platform !== 'linux' && 'the batched data path is for Linux' }
const CLIENTS = 16

const config = (limits: object = {}) =>
  relayConfig.parse({
    realm: 'example.org',
    listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
    relay: { addresses: [{ bind: '127.0.0.1', advertise: '127.0.0.1' }] },
    credentials: { users: [{ username: 'user', password: 'password' }] },
    peers: { allow: ['127.0.0.1'] },
    limits,
  })

const opened = (events: readonly ShardEvent[]) =>
  events.filter(({ kind }) => kind === 'allocation-opened').length

async function start(t: TestContext, limits: object = {}, observed = true) {
  const { shards, threads, events, until } = startShards(t, config(limits))
  shards.setObserved(observed)
  const { port } = await shards.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
  const clients = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = await new UdpClient({ port }).open()
      t.after(() => client.close())
      return client
    }),
  )
  return { shards, threads, clients, events, until, port }
}

test('clients are spread over the threads, and count together', ONLY_LINUX, async (t) => {
  const { shards, threads, clients, events, until } = await start(t, {
    allocationsPerUser: CLIENTS - 1,
  })
  const results = await Promise.allSettled(clients.map((client) => client.allocate()))
  const refused = results.filter(({ status }) => status === 'rejected')
  assert.equal(refused.length, 1)
  assert.match(String((refused[0] as PromiseRejectedResult).reason), /486/)
  await until(() => opened(events) === CLIENTS - 1)
  assert.equal(shards.status.allocations, CLIENTS - 1)
  for (const { gauges } of threads) assert.ok(gauges.get('allocations') > 0)
})

test('a client reaches one that another thread serves', ONLY_LINUX, async (t) => {
  const { clients } = await start(t)
  const relayed = await Promise.all(clients.map((client) => client.allocate()))
  for (const [index, client] of clients.entries()) {
    const other = (index + 1) % CLIENTS
    const [a, b] = [relayed[index]!, relayed[other]!]
    await Promise.all([client.permit(b), clients[other]!.permit(a)])
    const heard = await Promise.all([client.echo(b, 'from a'), clients[other]!.echo(a, 'from b')])
    assert.deepEqual(heard, ['from b', 'from a'])
  }
})

test('a port that another relay shares among its threads is not taken', ONLY_LINUX, async (t) => {
  const { port } = await start(t)
  const second = new WorkerShards({ count: 2, config: config(), host: {}, onEvent: () => undefined })
  t.after(() => second.close('shutdown'))
  second.start()
  await assert.rejects(second.listen({ protocol: 'udp', address: '127.0.0.1', port }), /is taken/)
})

test('a configuration that cannot be used changes nothing', ONLY_LINUX, async (t) => {
  const { shards, clients } = await start(t)
  const bad = config()
  bad.credentials.users.push({ username: 'bad\u0007', password: 'x' })
  assert.throws(() => shards.configure(bad, {}), /bad/)
  await clients[0]!.allocate()
})

test('a thread that dies takes no other with it, and is replaced', ONLY_LINUX, async (t) => {
  const { shards, threads, clients, events, until, port } = await start(t, {
    allocationsPerUser: 2 * CLIENTS,
  })
  await Promise.all(clients.map((client) => client.allocate()))
  await until(() => opened(events) === CLIENTS)
  const [doomed, other] = threads as [WorkerShard, WorkerShard]
  const [lost, kept] = [doomed, other].map(({ gauges }) => gauges.get('allocations')) as [number, number]
  await doomed.terminate()
  const ends = () => events.filter((event) => event.kind === 'allocation-closed')
  await until(() => ends().length === lost)
  assert.ok(ends().every((event) => event.kind === 'allocation-closed' && event.reason === 'relay-failed'))
  assert.equal(other.gauges.get('allocations'), kept)
  assert.equal(shards.status.allocations, kept)
  await until(() => threads.length === 3)
  const goOn = await Promise.allSettled(clients.map((client) => client.refresh()))
  assert.equal(goOn.filter(({ status }) => status === 'fulfilled').length, kept)
  const others = await Promise.all(
    clients.map(async () => {
      const client = await new UdpClient({ port }).open()
      t.after(() => client.close())
      return client
    }),
  )
  await Promise.all(others.map((client) => client.allocate()))
  await until(() => opened(events) === 2 * CLIENTS)
  assert.equal(shards.status.allocations, kept + CLIENTS)
  assert.ok(threads[2]!.gauges.get('allocations') > 0)
})

test(
  'single allocations are told of while they are observed, and what died with a thread too',
  ONLY_LINUX,
  async (t) => {
    const { shards, threads, clients, events, until } = await start(t, {}, false)
    await Promise.all(clients.map((client) => client.allocate()))
    shards.setObserved(true)
    await shards.count()
    await clients[0]!.refresh(0)
    await until(() => events.length === 1)
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ['allocation-closed'],
    )
    await Promise.all(threads.slice(0, 2).map((thread) => thread.terminate()))
    await until(() => events.filter(({ kind }) => kind === 'allocation-closed').length === CLIENTS)
  },
)

test('what ended while nobody observed did not die with its thread', ONLY_LINUX, async (t) => {
  const { shards, threads, clients, events, until } = await start(t)
  await Promise.all(clients.map((client) => client.allocate()))
  shards.setObserved(false)
  await shards.count()
  await Promise.all(clients.map((client) => client.refresh(0)))
  await Promise.all(threads.slice(0, 2).map((thread) => thread.terminate()))
  await until(() => events.filter(({ kind }) => kind === 'fault').length === 2)
  assert.equal(events.filter(({ kind }) => kind === 'allocation-closed').length, 0)
})
