import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { beforeEach, test } from 'node:test'
import { KubeError, type KubeRequest } from './client.ts'
import type { SecretObject } from './objects.ts'
import { loadServingCertificate } from './serving-certificate.ts'

const DAY_MS = 24 * 3600_000
const NAMES = ['10.96.0.7', 'fd00::7', 'turnfleet.turnfleet.svc', 'localhost']

let stored: SecretObject | undefined
let writes: number
let nowMs: number

/** One Secret of an API server: names are taken once, and a stale resource version is a conflict. */
const client = {
  find: async <T>() => structuredClone(stored) as T | undefined,
  request: async <T>({ method, body }: KubeRequest) => {
    const secret = body as SecretObject
    const version = stored?.metadata.resourceVersion
    if (method === 'POST' ? stored : secret.metadata.resourceVersion !== version)
      throw new KubeError(409, 'Conflict', 'conflict')
    writes += 1
    stored = { ...stored, ...secret, metadata: { ...secret.metadata, resourceVersion: String(writes) } }
    return stored as T
  },
}

beforeEach(() => {
  stored = undefined
  writes = 0
  nowMs = Date.now()
})

const load = (names: readonly string[] = NAMES) =>
  loadServingCertificate(client, {
    namespace: 'turnfleet',
    secretName: 'serving',
    names,
    wallMs: () => nowMs,
  })

function authorities(caPem: string): X509Certificate[] {
  return caPem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!.map((pem) => new X509Certificate(pem))
}

test('where there is none it is made: for every name, signed by its own authority', async () => {
  const { cert, caPem } = await load()
  const certificate = new X509Certificate(cert)
  assert.ok(certificate.checkIP('10.96.0.7') && certificate.checkIP('fd00::7'))
  assert.ok(certificate.checkHost('turnfleet.turnfleet.svc') && certificate.checkHost('localhost'))
  const [authority] = authorities(caPem)
  assert.ok(certificate.verify(authority!.publicKey) && authority!.ca && !certificate.ca)
})

test('a good one is kept as it is', async () => {
  const first = await load()
  nowMs += 200 * DAY_MS
  assert.deepEqual(await load(), first)
  assert.equal(writes, 1)
})

test('one that ends soon, or misses a name, is renewed under the same authority', async () => {
  const first = await load()
  nowMs += 300 * DAY_MS
  const renewed = await load()
  assert.notEqual(renewed.cert, first.cert)
  assert.equal(renewed.caPem, first.caPem)
  const wider = await load([...NAMES, '10.96.0.8'])
  assert.ok(new X509Certificate(wider.cert).checkIP('10.96.0.8'))
  assert.equal(wider.caPem, first.caPem)
})

test('a new authority comes with the old one beside it', async () => {
  const first = await load()
  nowMs += 3600 * DAY_MS
  const renewed = await load()
  const [authority, old] = authorities(renewed.caPem)
  assert.ok(new X509Certificate(renewed.cert).verify(authority!.publicKey))
  assert.equal(old!.fingerprint256, authorities(first.caPem)[0]!.fingerprint256)
})

test('a broken entry heals', async () => {
  await load()
  stored!.data!['tls.key'] = btoa('nonsense')
  const { cert, caPem } = await load()
  assert.ok(new X509Certificate(cert).verify(authorities(caPem)[0]!.publicKey))
})

test('two replicas that start together agree', async () => {
  const [first, second] = await Promise.all([load(), load()])
  assert.deepEqual(first, second)
  assert.equal(writes, 1)
})

test('a Secret of somebody else is left alone', async () => {
  stored = {
    metadata: { name: 'serving', namespace: 'turnfleet', resourceVersion: '1' },
    data: { password: 'eA==' },
  }
  await assert.rejects(load(), /is not turnfleet's: name another one/)
  assert.equal(writes, 0)
})
