import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTurnCluster } from './defaults.ts'
import { effectiveListeners } from './listeners.ts'

const object = (spec: unknown, metadata: object = { name: 'public', namespace: 'turn' }) => ({
  apiVersion: 'turnfleet.dev/v1alpha1',
  kind: 'TurnCluster',
  metadata,
  spec,
})

function errorsOf(raw: unknown): string[] {
  const parsed = parseTurnCluster(raw, 'refuse')
  assert.ok('errors' in parsed, 'it was accepted')
  return parsed.errors
}

test('a realm is all that a TurnCluster needs', () => {
  const parsed = parseTurnCluster(object({ realm: 'turn.example.org' }), 'refuse')
  assert.ok('cluster' in parsed)
  const { spec, metadata, status } = parsed.cluster
  assert.equal(metadata.generation, 1)
  assert.deepEqual(status, {})
  assert.equal(spec.replicas, 2)
  assert.deepEqual(spec.network.relayPorts, { min: 49152, max: 65535 })
  assert.equal(spec.limits.allocationsPerRelay, 4000)
  assert.equal(spec.listeners, undefined)
  assert.deepEqual(
    effectiveListeners(spec).map(({ protocol, port }) => `${protocol} ${port}`),
    ['UDP 3478', 'TCP 3478'],
  )
})

test('a certificate brings TLS on 443 to the default listeners, and own listeners replace them all', () => {
  const tls = { secretName: 'turn-tls' }
  assert.deepEqual(effectiveListeners({ tls, listeners: undefined }).at(-1), {
    name: 'tls',
    protocol: 'TLS',
    port: 443,
  })
  const own = [{ name: 'a', protocol: 'UDP' as const, port: 5000 }]
  assert.deepEqual(effectiveListeners({ tls, listeners: own }), own)
})

test('errors name the field and say what is wrong', () => {
  const cases: [unknown, RegExp][] = [
    [{}, /^spec\.realm: /],
    [{ realm: 'a', replicas: -1 }, /^spec\.replicas: /],
    [
      { realm: 'a', listeners: [{ name: 'x', protocol: 'SCTP', port: 1 }] },
      /^spec\.listeners\[0\]\.protocol: /,
    ],
    [{ realm: 'a', replcias: 3 }, /^spec\.replcias: there is no such field$/],
    [{ realm: 'a', network: { relayPort: {} } }, /^spec\.network\.relayPort: there is no such field$/],
    [
      { realm: 'a', listeners: [{ name: 'x', protocol: 'UDP', port: 1, addr: 1 }] },
      /^spec\.listeners\[0\]\.addr: /,
    ],
    [{ realm: 'a', peers: { mode: 'Private' } }, /peers\.allow is empty: name the networks/],
    ['text', /^spec: /],
  ]
  for (const [spec, expected] of cases) assert.match(errorsOf(object(spec)).join('\n'), expected)
})

test('an object of another kind or with a bad name is refused', () => {
  assert.match(errorsOf({ ...object({ realm: 'a' }), kind: 'Deployment' }).join(), /^kind: /)
  assert.match(
    errorsOf(object({ realm: 'a' }, { name: 'Not_A_Name' })).join(),
    /^metadata\.name must be a DNS name/,
  )
  assert.match(errorsOf(object({ realm: 'a' }, { name: 'x'.repeat(49) })).join(), /at most 48 characters/)
  assert.ok(errorsOf(undefined).length > 0)
})

test('fields that the API server may know and we do not are left alone', () => {
  const parsed = parseTurnCluster(object({ realm: 'a', newer: true }))
  assert.ok('cluster' in parsed)
})

test('a status that cannot be read counts as none', () => {
  const parsed = parseTurnCluster({ ...object({ realm: 'a' }), status: { replicas: 'many' } })
  assert.ok('cluster' in parsed)
  assert.deepEqual(parsed.cluster.status, {})
})
