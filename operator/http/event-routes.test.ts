import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { LoadReport } from '../../relay/api/load-report.ts'
import { createFleet } from '../fleet/registry.ts'
import { createApiKey } from './api-keys.ts'
import { createApp } from './app.ts'

const KEY = 'turn/public'
const inside = createApiKey({ id: 'inside', clusters: [KEY] })
const outside = createApiKey({ id: 'outside', clusters: ['turn/other'] })

async function serving(t: TestContext) {
  const fleet = createFleet({ checker: () => Promise.reject(new Error('unused')) })
  fleet.publish({
    key: KEY,
    realm: 'r',
    ttlSeconds: 60,
    listeners: [],
    keyRing: undefined,
    relays: [],
    realms: [],
    peerPolicies: [],
  })
  const { server } = createApp({
    fleet,
    issue: () => undefined,
    reviewReportToken: async () => undefined,
    revocations: { update: async () => assert.fail('unused') },
    apiKeys: () => [inside.entry, outside.entry],
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}/v1/clusters`
  const abort = new AbortController()
  t.after(() => abort.abort())
  const open = (key: string, path = `${KEY}/events`) =>
    fetch(`${url}/${path}`, { headers: { authorization: `Bearer ${key}` }, signal: abort.signal })
  return { fleet, open }
}

const report = (sequence: number, events?: LoadReport['events']): LoadReport =>
  ({
    uid: 'u0',
    name: 'public-0',
    cluster: KEY,
    sequence,
    startedAtMs: 1,
    state: 'serving',
    allocations: 0,
    ...(events && { events }),
  }) as LoadReport

test('relays are asked for events while somebody reads, and their events come as server-sent events', async (t) => {
  const { fleet, open } = await serving(t)
  assert.equal(fleet.report(report(1), 0).events, undefined)
  const answer = await open(inside.key)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  assert.equal(fleet.report(report(2), 0).events, true)
  const closed = {
    kind: 'closed' as const,
    atMs: 5,
    sequence: 1,
    allocation: 1,
    username: 'eve\n\nevent: forged',
    keyId: 'k',
    realm: 'r',
    transport: 'udp',
    client: '198.51.100.1:1',
    relayed: ['203.0.113.1:50000'],
    reason: 'expired',
  }
  fleet.report(report(3, { dropped: 0, events: [closed] }), 0)
  const reader = answer.body!.getReader()
  const { value } = await reader.read()
  const text = new TextDecoder().decode(value)
  const [name, data = ''] = text.split('\n')
  assert.equal(name, 'event: closed')
  assert.deepEqual(JSON.parse(data.replace('data: ', '')), { relay: 'public-0', ...closed })
  assert.equal(text.match(/^event:/gm)?.length, 1)
  assert.equal(fleet.loads(KEY).get('u0')?.report.events, undefined, 'none is kept')
})

test('events are for those who may see the cluster', async (t) => {
  const { open } = await serving(t)
  assert.equal((await open(outside.key)).status, 403)
  assert.equal((await open('tfk_unknown')).status, 401)
  assert.equal((await open(outside.key, 'turn/other/events')).status, 404)
})
