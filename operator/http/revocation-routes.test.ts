import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadReport } from '../../relay/api/load-report.ts'
import { NO_REVOCATIONS, type RevocationList } from '../../relay/api/revocations.ts'
import { createFleet } from '../fleet/registry.ts'
import { createApiKey } from './api-keys.ts'
import { createApp } from './app.ts'
import { HttpError } from './http-error.ts'
import type { Access } from './kubernetes-access.ts'

const KEY = 'turn/public'
const NOW_MS = Date.parse('2026-11-22T12:00:00Z')
const PATH = `/v1/clusters/${KEY}/revocations`
const elsewhere = { remoteAddress: '192.0.2.7' }
const bearer = (token: string) => ({ ...elsewhere, headers: { authorization: `Bearer ${token}` } })

const server = createApiKey({ id: 'server' })
const moderator = createApiKey({ id: 'moderator', revoke: true, clusters: [KEY] })

function setUp() {
  let kept: RevocationList = NO_REVOCATIONS
  const asked: Access[] = []
  const fleet = createFleet({ checker: () => Promise.reject(new Error('unused')), nowMs: () => NOW_MS })
  fleet.publish({
    key: KEY,
    realm: 'turn.example.org',
    ttlSeconds: 3600,
    listeners: [{ protocol: 'UDP', port: 3478 }],
    keyRing: undefined,
    realms: [],
    peerPolicies: [],
    relays: [{ name: 'public-0-abc', uid: 'u0', addresses: ['203.0.113.10'], allocations: 0, capacity: 1 }],
  })
  const { server: app } = createApp({
    fleet,
    issue: () => ({ iceServers: [], ttlSeconds: 60, expiresAtMs: NOW_MS }),
    reviewReportToken: async () => ({ uid: 'u0', namespace: 'turn' }),
    revocations: {
      async update(key, change) {
        if (key !== KEY) throw new HttpError(409, 'foreign', 'not this one')
        kept = change(kept)
        return kept
      },
    },
    apiKeys: () => [server.entry, moderator.entry],
    kubernetes: {
      reviewToken: async (token) => (token.startsWith('eyJ') ? { username: token } : undefined),
      authorize: async ({ username }, access) => {
        asked.push(access)
        return username === 'eyJ.ops'
      },
    },
    trustLoopback: true,
    nowMs: () => NOW_MS,
  })
  const post = (body: object, caller: object = {}) =>
    app.inject({ method: 'POST', url: PATH, body, ...caller })
  let sequence = 0
  const report = async (revocations?: number) => {
    const body: LoadReport = {
      uid: 'u0',
      name: 'public-0-abc',
      cluster: KEY,
      version: '0.1.0',
      sequence: sequence++,
      startedAtMs: 1,
      state: 'serving',
      drainAcknowledged: false,
      allocations: 0,
      capacity: 100,
      allocationsOpenedTotal: 0,
      bytesTotal: 0,
      packetsTotal: 0,
      addresses: [],
      listeners: [],
      keyIds: [],
      problems: [],
      rssBytes: 1,
      cpuSecondsTotal: 1,
      ...(revocations === undefined ? {} : { revocations }),
    }
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/relays/u0/report',
      body,
      ...bearer('eyJ.relay'),
    })
    return answer.json() as { revocations?: RevocationList }
  }
  return { app, fleet, post, report, asked, kept: () => kept }
}

test('a revocation is kept, and told to a relay with its next report until that has it', async () => {
  const { app, post, report, kept } = setUp()
  assert.equal((await report()).revocations, undefined)
  const answer = await post({ user: 'alice' })
  assert.equal(answer.statusCode, 201, answer.body)
  const { revocation, generation, relays } = answer.json()
  assert.deepEqual([revocation.user, revocation.until], ['alice', '2026-11-22T13:00:00.000Z'])
  assert.deepEqual(relays, { reporting: 1, acknowledged: 0 })
  assert.deepEqual(kept().entries, [revocation])
  for (const has of [undefined, 0, generation - 1]) {
    assert.deepEqual((await report(has)).revocations, kept())
  }
  assert.equal((await report(generation)).revocations, undefined)
  const seen = (await app.inject({ url: PATH })).json()
  assert.deepEqual(seen.relays, { reporting: 1, acknowledged: 1 })
  assert.deepEqual(seen.revocations, [revocation])
  assert.deepEqual((await report(generation + 5)).revocations, undefined, 'its file was faster')
})

test('a revocation is taken back by its id', async () => {
  const { app, post, report } = setUp()
  const { revocation, generation } = (await post({ tenant: 'acme' })).json()
  const unknown = await app.inject({ method: 'DELETE', url: `${PATH}/other` })
  assert.equal(unknown.statusCode, 404)
  const gone = await app.inject({ method: 'DELETE', url: `${PATH}/${revocation.id}` })
  assert.deepEqual([gone.statusCode, gone.json().revocations], [200, []])
  assert.deepEqual((await report(generation)).revocations?.entries, [])
})

test('/v1/ice gives a revoked user nothing that no relay would take', async () => {
  const { app, post } = setUp()
  await post({ user: 'alice' })
  const ask = (user: string) => app.inject({ method: 'POST', url: '/v1/ice', body: { user } })
  const refused = await ask('alice')
  assert.deepEqual([refused.statusCode, refused.json().error.code], [403, 'revoked'])
  assert.equal((await ask('bob')).statusCode, 200)
})

test('what is not a revocation is refused with its field', async () => {
  const { post } = setUp()
  const cases: readonly [object, RegExp][] = [
    [{}, /a user, a tenant or a keyId/],
    [{ user: '' }, /body\.user/],
    [{ user: 'a', until: 'soon' }, /body\.until/],
    [{ user: 'a', until: '2026-11-22T11:00:00Z' }, /has passed/],
    [{ user: 'a', until: '2030-01-01T00:00:00Z' }, /366 days/],
    [{ user: 'a', for: 'long' }, /body\.for/],
    [{ user: 'a', for: '1h', until: '2026-11-23T00:00:00Z' }, /not both/],
    [{ usr: 'a' }, /usr/],
  ]
  for (const [body, message] of cases) {
    const answer = await post(body)
    assert.equal(answer.statusCode, 400, JSON.stringify(body))
    assert.match(answer.json().error.message, message)
  }
  assert.equal((await post({ user: 'a', for: '2h' })).json().revocation.until, '2026-11-22T14:00:00.000Z')
})

test('who may: this machine, a token with the verb on turnclusters/revocations, an API key that says so', async () => {
  const { app, post, asked } = setUp()
  const codes: Record<string, number> = {}
  for (const [who, token] of Object.entries({
    ops: 'eyJ.ops',
    other: 'eyJ.other',
    server: server.key,
    moderator: moderator.key,
    unknown: 'tfk_unknown',
  })) {
    codes[who] = (await post({ user: who }, bearer(token))).statusCode
    codes[`${who} reads`] = (await app.inject({ url: PATH, ...bearer(token) })).statusCode
  }
  assert.deepEqual(codes, {
    ops: 201,
    'ops reads': 200,
    other: 403,
    'other reads': 403,
    server: 403,
    'server reads': 403,
    moderator: 201,
    'moderator reads': 200,
    unknown: 401,
    'unknown reads': 401,
  })
  assert.equal((await post({ user: 'x' })).statusCode, 201)
  assert.deepEqual(asked[0], {
    verb: 'create',
    subresource: 'revocations',
    namespace: 'turn',
    name: 'public',
  })
  const foreign = await app.inject({
    method: 'POST',
    url: '/v1/clusters/turn/other/revocations',
    body: { user: 'a' },
    ...bearer(moderator.key),
  })
  assert.equal(foreign.statusCode, 403)
  const missing = await app.inject({
    method: 'POST',
    url: '/v1/clusters/turn/other/revocations',
    body: { user: 'a' },
  })
  assert.equal(missing.statusCode, 404)
})
