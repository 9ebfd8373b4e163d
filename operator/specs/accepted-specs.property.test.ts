import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { relayConfig } from '../../relay/api/config.ts'
import { parseTurnCluster } from '../api/defaults.ts'
import { relayConfigMap } from './config-map.ts'
import { relayPod } from './pod.ts'

/** Mostly a value that makes sense, now and then one that does not. */
const mostly = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: bad })
const of = <T>(...values: T[]) => fc.constantFrom(...values)

const port = mostly(fc.oneof(fc.integer({ min: 1, max: 49_000 }), of(443, 3478)), of(0, 50_000, 65_536))
const address = mostly(
  fc.oneof(fc.ipV4(), fc.ipV6(), of('10.0.0.0/8', '2001:db8::/32', '10.1.2.3/8')),
  of('10.0.0.0/33', 'host', ''),
)
const duration = mostly(of('90s', '10m', '1h30m', '24h'), of('0s', '999h', 'soon', ''))
const text = mostly(
  of('turn.example.org', 'a', 'turn-1'),
  fc.oneof(fc.string({ maxLength: 12 }), of('a\nb: c', 'ü')),
)
const relayPorts = mostly(
  of({ min: 49_152, max: 65_535 }, { min: 50_000 }, {}),
  fc.record({ min: port, max: port }),
)
const listener = fc.record(
  {
    name: mostly(of('a', 'b', 'c-1'), of('-', '')),
    protocol: mostly(of('UDP', 'TCP', 'TLS', 'DTLS'), of('QUIC')),
    port,
    proxyProtocol: fc.record({ from: fc.array(address, { maxLength: 3 }) }),
  },
  { requiredKeys: ['name', 'protocol', 'port'] },
)

const spec = fc.record(
  {
    realm: text,
    replicas: mostly(fc.integer({ min: 0, max: 1000 }), of(-1, 1001)),
    listeners: fc.array(listener, { minLength: 1, maxLength: 3 }),
    network: fc.record({ relayPorts }),
    natDiscovery: mostly(of(undefined), fc.record({ alternatePort: of(3479, 443) })),
    tls: fc.record(
      { secretName: text, hostname: of('{address}.turn.example.org') },
      { requiredKeys: ['secretName'] },
    ),
    credentials: fc.record({ ttl: duration, secretName: text }, { requiredKeys: [] }),
    peers: fc.record({ mode: of('Public', 'Private'), allow: fc.array(address, { maxLength: 4 }) }),
    limits: fc.record({ allocationsPerRelay: mostly(fc.integer({ min: 1, max: 15_000 }), of(0, 70_000)) }),
    drain: fc.record({ maxDuration: duration }),
    pod: fc.record(
      { labels: fc.dictionary(text, text, { maxKeys: 2 }), affinity: fc.object() },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['realm'] },
)

const object = (wanted: unknown) => ({
  apiVersion: 'turnfleet.dev/v1alpha1',
  kind: 'TurnCluster',
  metadata: { name: 'public', namespace: 'turn', uid: 'u' },
  spec: wanted,
})

test('a spec is refused with a sentence, or gives a configuration that a relay takes and a pod', () => {
  let accepted = 0
  fc.assert(
    fc.property(spec, (wanted) => {
      const parsed = parseTurnCluster(object(wanted))
      if ('errors' in parsed) {
        assert.ok(parsed.errors.length > 0 && parsed.errors.every((error) => error.length > 10))
        return
      }
      accepted++
      const map = relayConfigMap(parsed.cluster, { url: 'https://10.0.0.1', caPem: 'PEM' })
      const config = relayConfig.safeParse(JSON.parse(map.data['relay.yaml'] ?? ''))
      assert.ok(config.success, config.error?.message)
      assert.equal(config.data.realm, parsed.cluster.spec.realm)
      relayPod(parsed.cluster, 0, '0000cafe', { image: 'i', operatorUrl: 'https://10.0.0.1' })
    }),
    { numRuns: 1000 },
  )
  assert.ok(accepted > 100, `only ${accepted} were accepted`)
})

test('whatever an object is, reading it never throws', () => {
  const anything = fc.anything({ withDate: true, withBigInt: true, withNullPrototype: true })
  fc.assert(
    fc.property(anything, fc.boolean(), (value, strict) => {
      for (const raw of [
        value,
        object(value),
        { ...object({ realm: 'a' }), status: value, metadata: value },
      ]) {
        assert.ok(parseTurnCluster(raw, strict ? 'refuse' : 'ignore'))
      }
    }),
    { numRuns: 500 },
  )
})
