import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TurnClusterSpecInput } from '../api/turn-cluster.ts'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { relayRevision } from './revision.ts'

const INPUTS = { image: 'turnfleet/relay:1', operatorUrl: 'https://10.0.0.1' }
const revisionOf = (spec: Partial<TurnClusterSpecInput> = {}) => relayRevision(turnCluster(spec), INPUTS)

test('what a relay takes over live does not replace it', () => {
  const live: Partial<TurnClusterSpecInput>[] = [
    { replicas: 9 },
    { listeners: [{ name: 'udp', protocol: 'UDP', port: 5000 }] },
    { limits: { allocationsPerRelay: 10 } },
    { peers: { deny: ['192.0.2.0/24'] } },
    { credentials: { ttl: '1h' } },
    { network: { relayPorts: { min: 50_000 } } },
    { autoscaling: { enabled: true } },
    { drain: { maxDuration: '1h' } },
  ]
  for (const spec of live) assert.equal(revisionOf(spec), revisionOf(), JSON.stringify(spec))
  assert.equal(relayRevision(turnCluster(), { ...INPUTS, operatorUrl: 'https://10.0.0.2' }), revisionOf())
})

test('what a relay cannot take over replaces it', () => {
  const specs: Partial<TurnClusterSpecInput>[] = [
    {},
    { pod: { resources: { requests: { cpu: '2' } } } },
    { pod: { nodeSelector: { pool: 'turn' } } },
    { tls: { secretName: 'a' } },
    { tls: { secretName: 'b' } },
    { credentials: { secretName: 'mine' } },
    { listeners: [{ name: 'udp', protocol: 'UDP', port: 443 }] },
    { datapath: 'Kernel' },
    { datapath: 'Portable' },
    { update: { strategy: 'HandOver' } },
    { datapath: 'Batched' },
    // A relay chooses a data path that speaks DTLS when it starts.
    { tls: { secretName: 'a' }, listeners: [{ name: 'dtls', protocol: 'DTLS', port: 5349 }] },
  ]
  const revisions = [
    ...specs.map(revisionOf),
    relayRevision(turnCluster(), { ...INPUTS, image: 'turnfleet/relay:2' }),
  ]
  assert.equal(new Set(revisions).size, revisions.length)
})

test('the order in which fields are written does not matter', () => {
  const one = revisionOf({ pod: { nodeSelector: { a: '1', b: '2' } } })
  assert.equal(revisionOf({ pod: { nodeSelector: { b: '2', a: '1' } } }), one)
})

test('a revision of an earlier build stays the same, so that an upgrade of the operator replaces no relay', () => {
  assert.equal(revisionOf(), '1685955e')
})
