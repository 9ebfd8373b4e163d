import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadReport } from '../../relay/api/load-report.ts'
import { NO_REVOCATIONS } from '../../relay/api/revocations.ts'
import type { Fleet } from '../controller/contract.ts'
import { createFleet } from '../fleet/registry.ts'
import { type ApiKey, createApiKey } from './api-keys.ts'
import { type AppOptions, createApp } from './app.ts'
import type { IceIssuer } from './ice-routes.ts'
import type { Access } from './kubernetes-access.ts'
import type { RevocationStore } from './revocation-routes.ts'

const KEY = 'turn/public'
const NOW_MS = 1_700_000_000_000

/** What the last credential was to say. */
let granted: unknown

const issue: IceIssuer = (cluster, { user, grant }) => {
  granted = grant
  return cluster.relays.length === 0
    ? undefined
    : {
        iceServers: [
          { urls: ['turn:203.0.113.10:3478'], username: `1:${user}`, credential: 'secret' },
          { urls: ['turn:203.0.113.11:3478'], username: `1:${user}`, credential: 'secret' },
        ],
        ttlSeconds: 60,
        expiresAtMs: NOW_MS + 60_000,
      }
}

function publish(fleet: Fleet, key = KEY, relays = 1): void {
  fleet.publish({
    key,
    realm: 'turn.example.org',
    ttlSeconds: 60,
    listeners: [{ protocol: 'UDP', port: 3478 }],
    keyRing: undefined,
    realms: [],
    peerPolicies: ['media', 'closed'],
    relays: Array.from({ length: relays }, (_, index) => ({
      name: `public-${index}-abc`,
      uid: `u${index}`,
      addresses: [`203.0.113.${10 + index}`],
      allocations: 0,
      capacity: 100,
    })),
  })
}

function inMemory(): RevocationStore {
  let list = NO_REVOCATIONS
  return {
    async update(_key, change) {
      list = change(list)
      return list
    },
  }
}

function appWith(options: Partial<AppOptions> = {}) {
  const fleet = createFleet({ checker: () => Promise.reject(new Error('unused')), nowMs: () => NOW_MS })
  publish(fleet)
  const { server } = createApp({
    fleet,
    issue,
    reviewReportToken: async (token) =>
      token === 'relay-token' ? { uid: 'u0', namespace: 'turn' } : undefined,
    revocations: inMemory(),
    nowMs: () => NOW_MS,
    ...options,
  })
  return { server, fleet }
}

const report: LoadReport = {
  uid: 'u0',
  name: 'public-0-abc',
  cluster: KEY,
  version: '0.1.0',
  sequence: 1,
  startedAtMs: 1,
  state: 'serving',
  drainAcknowledged: false,
  allocations: 3,
  capacity: 100,
  allocationsOpenedTotal: 7,
  bytesTotal: 10,
  packetsTotal: 1,
  addresses: ['203.0.113.10'],
  listeners: [{ protocol: 'udp', port: 3478 }],
  keyIds: ['k1'],
  problems: [],
  rssBytes: 1,
  cpuSecondsTotal: 1,
}

const elsewhere = { remoteAddress: '192.0.2.7', headers: { host: 'turnfleet.example.org' } }
const bearer = (token: string) => ({
  ...elsewhere,
  headers: { ...elsewhere.headers, authorization: `Bearer ${token}` },
})

test('nothing but the health paths answers an unknown caller', async () => {
  const { server } = appWith()
  const paths = [
    '/',
    '/metrics',
    '/v1/clusters',
    '/v1/clusters/turn/public',
    '/v1/ice',
    '/console/main.js',
    '/none',
    '/.env',
  ]
  for (const url of paths) {
    for (const caller of [elsewhere, {}, bearer('tfk_unknown'), bearer('eyJ.no.token')]) {
      const answer = await server.inject({ url, ...caller })
      assert.equal(answer.statusCode, 401, `${url}: ${answer.body}`)
      assert.equal(answer.json().error.code, 'unauthenticated')
    }
  }
  for (const url of ['/livez', '/readyz'])
    assert.equal((await server.inject({ url, ...elsewhere })).statusCode, 200)
})

test('readyz says what is missing', async () => {
  const { server } = appWith({ notReady: () => ['the caches are not filled'] })
  const answer = await server.inject({ url: '/readyz' })
  assert.equal(answer.statusCode, 503)
  assert.match(answer.body, /caches/)
})

test('standalone mode trusts callers on this machine, and only them', async () => {
  const { server } = appWith({ trustLoopback: true })
  const ask = (change: object, headers: Record<string, string> = {}) =>
    server.inject({
      method: 'POST',
      url: '/v1/ice',
      headers: { host: '127.0.0.1:8080', ...headers },
      ...change,
    })
  const answer = await ask({ payload: { user: 'alice', zone: 'z1' } })
  assert.equal(answer.statusCode, 200)
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.deepEqual(answer.json().iceServers[0], {
    urls: ['turn:203.0.113.10:3478'],
    username: '1:alice',
    credential: 'secret',
  })
  assert.equal(answer.json().ttl, 60)
  assert.equal((await ask({}, { host: '[::1]:8080' })).statusCode, 200)
  assert.equal((await ask({}, { origin: 'http://localhost:5173' })).statusCode, 200)
  assert.equal((await ask({ remoteAddress: '192.0.2.7' })).statusCode, 401, 'another machine')
  assert.equal((await ask({}, { host: 'rebound.example.org' })).statusCode, 401, 'DNS rebinding')
  assert.equal((await ask({}, { 'x-forwarded-for': '127.0.0.1' })).statusCode, 401, 'through a proxy')
  assert.equal(
    (await ask({}, { origin: 'https://elsewhere.example.org' })).statusCode,
    401,
    'a page of another site',
  )
})

test('an API key is bound to its clusters, origins and quota', async () => {
  const scoped = createApiKey({
    id: 'scoped',
    clusters: [KEY],
    origins: ['https://app.example.org'],
    perMinute: 8,
  })
  const other = createApiKey({ id: 'other', clusters: ['turn/other'] })
  const { server, fleet } = appWith({ apiKeys: () => [other.entry, scoped.entry] })
  publish(fleet, 'turn/other')
  const ask = (key: string, payload: object, headers: Record<string, string> = {}) => {
    const caller = bearer(key)
    return server.inject({
      method: 'POST',
      url: '/v1/ice',
      ...caller,
      headers: { ...caller.headers, ...headers },
      payload,
    })
  }
  const first = await ask(scoped.key, {}, { origin: 'https://app.example.org' })
  assert.equal(first.statusCode, 200, 'the only cluster of the key is chosen')
  assert.equal(first.json().cluster, KEY)
  assert.equal(first.headers['access-control-allow-origin'], 'https://app.example.org')
  assert.equal((await ask(scoped.key, { cluster: 'turn/other' })).statusCode, 403)
  assert.equal((await ask(scoped.key, {}, { origin: 'https://evil.example.org' })).statusCode, 403)
  assert.equal(
    (await ask(other.key, {}, { origin: 'https://app.example.org' })).statusCode,
    403,
    'a server key',
  )
  assert.equal((await ask(`${scoped.key}x`, {})).statusCode, 401)
  const refused = await ask(scoped.key, {})
  assert.equal(refused.statusCode, 429, 'a burst is a quarter of the quota of a minute')
  assert.ok(Number(refused.headers['retry-after']) >= 1)
  assert.equal((await server.inject({ url: '/v1/clusters', ...bearer(other.key) })).json().clusters.length, 1)
  for (const url of ['/', '/metrics'])
    assert.equal((await server.inject({ url, ...bearer(other.key) })).statusCode, 403)
})

const LIMITS = { allocations: 6, tenantAllocations: 100, bytesPerSecond: 250_000 }
const GRANT = { tenant: 'acme', limits: LIMITS, peers: { policies: ['media'] } }
const GRANTED = { tenant: 'acme', ...LIMITS, peerPolicy: 'media' }
const ASKED: readonly [
  name: string,
  grant: ApiKey['grant'],
  asked: object,
  answer: object | undefined | number,
][] = [
  ['nothing', undefined, {}, undefined],
  [
    'a tenant and limits',
    undefined,
    { tenant: 'a', limits: { allocations: 2 } },
    { tenant: 'a', allocations: 2 },
  ],
  ['networks', undefined, { peers: { networks: ['10.0.0.0/8'] } }, { peers: ['10.0.0.0/8'] }],
  ['no network', undefined, { peers: { networks: ['10.0.0.0/33'] } }, 400],
  ['a peer policy', undefined, { peers: { policy: 'media' } }, 403],
  ['a limit of no tenant', undefined, { limits: { tenantAllocations: 5 } }, 400],
  ['a limit of nothing', undefined, { limits: { allocations: 0 } }, 400],
  ['nothing, with a key that says', GRANT, {}, GRANTED],
  ['less than the key gives', GRANT, { limits: { allocations: 2 } }, { ...GRANTED, allocations: 2 }],
  ['more than the key gives', GRANT, { limits: { bytesPerSecond: 999_999_999 } }, GRANTED],
  ['the tenant of the key', GRANT, { tenant: 'acme' }, GRANTED],
  ['another tenant', GRANT, { tenant: 'globex' }, 403],
  ['another policy than the key names', GRANT, { peers: { policy: 'closed' } }, 403],
  ['a policy that the cluster has not', { peers: { policies: ['gone'] } }, {}, 400],
  ['the networks of the key', { peers: { networks: ['192.0.2.1'] } }, {}, { peers: ['192.0.2.1'] }],
  ['others than those', { peers: { networks: ['192.0.2.1'] } }, { peers: { networks: ['::1'] } }, 403],
]
for (const [name, grant, asked, expected] of ASKED) {
  test(`/v1/ice is asked for ${name}`, async () => {
    const { key, entry } = createApiKey({ id: 'app', ...(grant && { grant }) })
    const { server } = appWith({ apiKeys: () => [entry] })
    granted = 'not asked'
    const payload = { user: 'alice', ...asked }
    const answer = await server.inject({ method: 'POST', url: '/v1/ice', payload, ...bearer(key) })
    assert.equal(answer.statusCode, typeof expected === 'number' ? expected : 200, answer.body)
    assert.deepEqual(granted, typeof expected === 'number' ? 'not asked' : expected)
  })
}

test('what an API key says holds for the TURN REST form too, and needs a user to say it of', async () => {
  const { key, entry } = createApiKey({ id: 'app', grant: GRANT })
  const { server } = appWith({ apiKeys: () => [entry] })
  const ask = (query: string) =>
    server.inject({ url: `/v1/ice?service=turn&key=${key}${query}`, ...elsewhere })
  assert.equal((await ask('&username=bob')).statusCode, 200)
  assert.deepEqual(granted, GRANTED)
  const nameless = await ask('')
  assert.equal(nameless.statusCode, 400)
  assert.match(nameless.json().error.message, /user: must be named/)
})

test('claims that are too long together are refused with a reason', async () => {
  const { server } = appWith({
    trustLoopback: true,
    issue: () => {
      throw new RangeError('the claims make a username of more than 508 bytes')
    },
  })
  const headers = { host: '127.0.0.1:8080' }
  const answer = await server.inject({ method: 'POST', url: '/v1/ice', headers })
  assert.deepEqual([answer.statusCode, /508 bytes/.test(answer.json().error.message)], [400, true])
})

test('the TURN REST form answers with username, password, ttl and uris', async () => {
  const { key, entry } = createApiKey({ id: 'rest' })
  const { server } = appWith({ apiKeys: () => [entry] })
  const url = `/v1/ice?service=turn&username=bob&key=${key}`
  const answer = await server.inject({ url, ...elsewhere })
  assert.deepEqual(answer.json(), {
    username: '1:bob',
    password: 'secret',
    ttl: 60,
    uris: ['turn:203.0.113.10:3478', 'turn:203.0.113.11:3478'],
  })
  const wrong = await server.inject({ url: `/v1/ice?service=stun&key=${key}`, ...elsewhere })
  assert.equal(wrong.statusCode, 400)
  assert.match(wrong.json().error.message, /query\.service/)
})

test('without a ready relay /v1/ice says when to try again', async () => {
  const { server, fleet } = appWith({ trustLoopback: true })
  publish(fleet, KEY, 0)
  const answer = await server.inject({ method: 'POST', url: '/v1/ice' })
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.headers['retry-after'], '5')
  assert.equal(answer.json().error.code, 'no_relay_ready')
})

test('what a caller sends is refused with the field at fault', async () => {
  const { server, fleet } = appWith({ trustLoopback: true })
  const ask = (payload: string | object, type = 'application/json') =>
    server.inject({ method: 'POST', url: '/v1/ice', payload, headers: { 'content-type': type } })
  assert.match((await ask({ user: 'a\u0000b' })).json().error.message, /body\.user: must be printable/)
  assert.match((await ask({ user: 'x'.repeat(200) })).json().error.message, /body\.user/)
  assert.match((await ask({ userId: 'x' })).json().error.message, /userId/)
  assert.match((await ask('{"user"')).json().error.message, /not valid JSON/)
  assert.equal((await ask('a=b', 'application/x-www-form-urlencoded')).statusCode, 415)
  assert.equal((await ask({ user: 'x'.repeat(20_000) })).statusCode, 413)
  assert.equal((await ask('')).statusCode, 200)
  assert.equal((await ask({ cluster: 'turn/none' })).statusCode, 404)
  publish(fleet, 'turn/other')
  assert.match((await ask({})).json().error.message, /name one/)
})

test('a page of an origin that no key names cannot ask; one that a key names may', async () => {
  const { entry } = createApiKey({ id: 'page', origins: ['https://app.example.org'] })
  const { server } = appWith({ apiKeys: () => [entry] })
  const preflight = (origin: string, url = '/v1/ice') =>
    server.inject({
      method: 'OPTIONS',
      url,
      ...elsewhere,
      headers: { ...elsewhere.headers, origin, 'access-control-request-method': 'POST' },
    })
  const allowed = await preflight('https://app.example.org')
  assert.equal(allowed.statusCode, 204)
  assert.equal(allowed.headers['access-control-allow-origin'], 'https://app.example.org')
  const refused = await preflight('https://evil.example.org')
  assert.equal(refused.statusCode, 401)
  assert.equal(refused.headers['access-control-allow-origin'], undefined)
  assert.equal((await preflight('https://app.example.org', '/v1/clusters')).statusCode, 401)
})

test('a relay reports for itself, in its own namespace, and gets its directives', async () => {
  const { server, fleet } = appWith()
  fleet.setDirectives(KEY, new Map([['u0', { drain: true, alternates: [], intervalSeconds: 3 }]]))
  const send = (payload: object, token = 'relay-token', uid = 'u0') =>
    server.inject({ method: 'POST', url: `/v1/relays/${uid}/report`, ...bearer(token), payload })
  const answer = await send(report)
  assert.deepEqual(answer.json(), { drain: true, alternates: [], intervalSeconds: 3 })
  assert.equal(fleet.loads(KEY).get('u0')?.report.allocations, 3)
  assert.equal((await send(report, 'forged')).statusCode, 401)
  assert.equal((await send({ ...report, uid: 'u1' }, 'relay-token', 'u1')).statusCode, 403)
  assert.equal((await send({ ...report, uid: 'u1' })).statusCode, 400)
  assert.equal((await send({ ...report, cluster: 'elsewhere/public' })).statusCode, 403)
  assert.match((await send({ ...report, allocations: -1 })).json().error.message, /body\.allocations/)
  assert.equal((await send({ ...report, version: 'x'.repeat(600_000) })).statusCode, 413)
  const anonymous = await server.inject({
    method: 'POST',
    url: '/v1/relays/u0/report',
    ...elsewhere,
    payload: report,
  })
  assert.equal(anonymous.statusCode, 401)
})

test('a Kubernetes token may do what the API server lets it', async () => {
  const asked: Access[] = []
  let reviews = 0
  const { server } = appWith({
    kubernetes: {
      async reviewToken(token) {
        reviews++
        return token === 'good' ? { username: 'system:serviceaccount:web:app' } : undefined
      },
      async authorize(_identity, access) {
        asked.push(access)
        return 'path' in access ? access.path === '/metrics' : access.verb === 'create'
      },
    },
  })
  const caller = bearer('good')
  assert.equal((await server.inject({ method: 'POST', url: '/v1/ice', ...caller })).statusCode, 200)
  assert.deepEqual(asked[0], { verb: 'create', subresource: 'ice', namespace: 'turn', name: 'public' })
  assert.deepEqual((await server.inject({ url: '/v1/clusters', ...caller })).json(), { clusters: [] })
  assert.equal((await server.inject({ url: '/v1/clusters/turn/public', ...caller })).statusCode, 403)
  assert.equal((await server.inject({ url: '/metrics', ...caller })).statusCode, 200)
  assert.equal((await server.inject({ url: '/', ...caller })).statusCode, 403)
  assert.equal((await server.inject({ url: '/', ...bearer('bad') })).statusCode, 401)
  assert.equal(reviews, 2, 'a review is remembered')
})

test('the state of a cluster and its metrics follow the reports', async () => {
  const { server, fleet } = appWith({ trustLoopback: true })
  fleet.report(report, NOW_MS - 1000)
  fleet.report({ ...report, uid: 'u9', name: 'public-1-abc', state: 'draining' }, NOW_MS - 60_000)
  const { clusters } = (await server.inject({ url: '/v1/clusters' })).json()
  assert.deepEqual(clusters[0].allocations, { active: 6, capacity: 100 })
  assert.deepEqual(
    clusters[0].relays.map((relay: { name: string; state: string }) => [relay.name, relay.state]),
    [
      ['public-0-abc', 'Ready'],
      ['public-1-abc', 'Lost'],
    ],
  )
  const metrics = (await server.inject({ url: '/metrics' })).body
  assert.match(
    metrics,
    /turnfleet_operator_relay_allocations\{cluster="turn\/public",relay="public-0-abc"\} 3/,
  )
  assert.match(metrics, /turnfleet_operator_ready_relays\{cluster="turn\/public"\} 1/)
  assert.match(metrics, /turnfleet_operator_http_requests_total\{route="\/v1\/clusters",status="200"\} 1/)
})

test('a relay that was replaced under its name is shown once', async () => {
  const { server, fleet } = appWith({ trustLoopback: true })
  fleet.report({ ...report, uid: 'dead', startedAtMs: 1 }, NOW_MS - 1000)
  fleet.report({ ...report, uid: 'u0', startedAtMs: 2 }, NOW_MS)
  const { relays } = (await server.inject({ url: '/v1/clusters/turn/public' })).json()
  assert.deepEqual(
    relays.map(({ uid }: { uid: string }) => uid),
    ['u0'],
  )
})

test('the console is a page with a strict policy', async () => {
  const { server } = appWith({ trustLoopback: true })
  const answer = await server.inject({ url: '/' })
  assert.equal(answer.statusCode, 200)
  assert.match(String(answer.headers['content-security-policy']), /default-src 'none'; script-src 'self'/)
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  assert.equal((await server.inject({ url: '/console/..%2f..%2fhttp/app.ts' })).statusCode, 404)
})

test('an unexpected failure is told to the operator, not to the caller', async () => {
  const errors: unknown[] = []
  const { server } = appWith({
    trustLoopback: true,
    onError: (error) => errors.push(error),
    issue: () => {
      throw new Error('the secret is hunter2')
    },
  })
  const answer = await server.inject({ method: 'POST', url: '/v1/ice' })
  assert.equal(answer.statusCode, 500)
  assert.ok(!answer.body.includes('hunter2'))
  assert.equal(errors.length, 1)
})
