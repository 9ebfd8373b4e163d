import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RelayConfigInput, relayConfig } from '../api/config.ts'
import { chooseShards } from './create-shards.ts'
import { defaultWorkers, ownMeans } from './default-workers.ts'

const skip = process.platform === 'linux' ? false : 'the batched data path is for Linux'

async function choose(input: Partial<RelayConfigInput>) {
  const { workers, notes } = await chooseShards(
    relayConfig.parse({
      realm: 'example.org',
      listeners: [{ protocol: 'udp', port: 3478 }],
      relay: {},
      ...input,
    }),
  )
  return { workers, notes }
}

test('the batched data path, which auto is on Linux, has an event loop for each core', { skip }, async () => {
  assert.deepEqual(await choose({}), { workers: defaultWorkers(ownMeans()), notes: [] })
})

for (const [name, input] of [
  ['RFC 8016: mobility', { mobility: true }],
  ['RFC 6062: TCP peers', { peers: { tcp: true } }],
  ['a relay that hands its listeners over', { handOver: { socket: '/run/turnfleet/hand-over.sock' } }],
] as const) {
  test(`${name} has all event loops`, { skip }, async () => {
    assert.deepEqual(await choose(input), { workers: defaultWorkers(ownMeans()), notes: [] })
  })
}

test('the portable data path has one event loop, and says so where more were asked for', async () => {
  assert.deepEqual(await choose({ datapath: 'portable' }), { workers: 1, notes: [] })
  const { workers, notes } = await choose({ datapath: 'portable', workers: 3 })
  assert.equal(workers, 1)
  assert.match(notes.join(), /has one event loop, not 3: choose batched for more/)
})
