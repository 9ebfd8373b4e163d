import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseTurnCluster } from '../../operator/api/defaults.ts'
import { brokenRules, SPEC_RULES } from '../../operator/api/rules.ts'
import { type TurnClusterSpecInput, turnClusterSpec } from '../../operator/api/turn-cluster.ts'
import { KubeError } from '../../operator/kube/client.ts'
import type { KubeObject } from '../../operator/kube/objects.ts'
import { Api, CRD_FILE } from './api.ts'
import { type ControlPlane, startControlPlane } from './control-plane.ts'

interface Cluster extends KubeObject {
  spec: Record<string, unknown>
}

let plane: ControlPlane
let api: Api

before(async () => {
  plane = await startControlPlane({ controllers: ['namespace-controller'], manifests: [CRD_FILE] })
  api = await Api.of(plane.adminKubeconfig)
  await api.untilServed()
})

after(async () => {
  api?.client.close()
  await plane?.stop()
})

function cluster(spec: object, name = 'public'): Cluster {
  return {
    apiVersion: 'turnfleet.dev/v1alpha1',
    kind: 'TurnCluster',
    metadata: { name, namespace: 'default' },
    spec: spec as Record<string, unknown>,
  }
}

async function refusal(object: KubeObject): Promise<string> {
  try {
    await api.create(object, { dryRun: 'All' })
  } catch (error) {
    assert.ok(error instanceof KubeError && error.status === 422, String(error))
    return error.message
  }
  return assert.fail(`accepted: ${JSON.stringify(object)}`)
}

const realm = 'turn.example.org'
const tls = { secretName: 'turn-tls' }
const udp = { name: 'udp', protocol: 'UDP' as const, port: 3478 }

/** Specs that types allow and sense does not. */
const SENSELESS: Record<string, TurnClusterSpecInput> = {
  'a realm with a quote': { realm: 'turn"example' },
  'a realm with a line break': { realm: 'turn\nlimits: {}' },
  'a realm that is not ASCII': { realm: 'türn.example.org' },
  'a range upside down': { realm, network: { relayPorts: { min: 60_000, max: 50_000 } } },
  'a range smaller than the capacity': { realm, network: { relayPorts: { min: 50_000, max: 50_099 } } },
  'a UDP listener inside the range': { realm, listeners: [{ ...udp, port: 50_000 }] },
  'the default listener inside the range': { realm, network: { relayPorts: { min: 1024, max: 65_535 } } },
  'a listener name that no port may have': { realm, listeners: [{ ...udp, name: '9--a' }] },
  'two listeners on one socket': { realm, listeners: [udp, { ...udp, name: 'again' }] },
  'NAT discovery on the port of a listener': { realm, natDiscovery: { alternatePort: 3478 } },
  'NAT discovery inside the range': { realm, natDiscovery: { alternatePort: 50_000 } },
  'NAT discovery without a UDP listener': {
    realm,
    listeners: [{ ...udp, protocol: 'TCP' }],
    natDiscovery: { alternatePort: 3479 },
  },
  'a load balancer that is no network': {
    realm,
    listeners: [{ ...udp, proxyProtocol: { from: ['10.0.0.0/8', 'balancer.example.org'] } }],
  },
  'a TLS listener without a certificate': { realm, listeners: [{ name: 'tls', protocol: 'TLS', port: 443 }] },
  'a DTLS listener without a certificate': { realm, listeners: [{ ...udp, protocol: 'DTLS' }] },
  'a DTLS listener inside the range': { realm, tls, listeners: [{ ...udp, protocol: 'DTLS', port: 50_000 }] },
  'a DTLS listener on the portable data path': {
    realm,
    tls,
    datapath: 'Portable',
    listeners: [{ ...udp, protocol: 'DTLS' }],
  },
  'a hand-over on the portable data path': {
    realm,
    datapath: 'Portable',
    update: { strategy: 'HandOver' },
  },
  'a certificate Secret of another namespace': { realm, tls: { secretName: 'other/turn-tls' } },
  'a host name that is none': { realm, tls: { ...tls, hostname: 'https://turn' } },
  'a key Secret of another namespace': { realm, credentials: { secretName: '../keys' } },
  'names that make a challenge too long': {
    realm: 'r'.repeat(20),
    credentials: { thirdParty: { serverName: 's'.repeat(20) } },
  },
  'a lifetime of nothing': { realm, credentials: { ttl: '0s' } },
  'a lifetime in words': { realm, credentials: { ttl: 'forever' } },
  'a window that is too long': { realm, autoscaling: { scaleDownStabilization: '25h' } },
  'a drain that never ends': { realm, drain: { maxDuration: '999h' } },
  'bounds upside down': { realm, autoscaling: { minReplicas: 5, maxReplicas: 4 } },
  'private peers without a network': { realm, peers: { mode: 'Private' } },
  'an allowed network that is none': { realm, peers: { allow: ['10.0.0.0/33'] } },
  'a denied address that is none': { realm, peers: { deny: ['localhost'] } },
  'a policy with a name that no credential may carry': { realm, peerPolicies: [{ name: 'Media' }] },
  'a policy that allows no network': { realm, peerPolicies: [{ name: 'media', allow: ['media'] }] },
  'a further realm with a quote': { realm, realms: [{ realm: 'a"b' }] },
  'a further realm that is the first': { realm, realms: [{ realm }] },
  'a further realm at a listener that is not there': {
    realm,
    listeners: [udp],
    realms: [{ realm: 'second', listeners: ['tls'] }],
  },
  'a listener of two realms': {
    realm,
    listeners: [udp],
    realms: [
      { realm: 'second', listeners: [udp.name] },
      { realm: 'third', listeners: [udp.name] },
    ],
  },
  'a further realm with a policy that is not there': {
    realm,
    realms: [{ realm: 'second', peerPolicy: 'media' }],
  },
  'a policy that denies no network': { realm, peerPolicies: [{ name: 'media', deny: ['10.0.0.0/33'] }] },
  'a label of the operator': { realm, pod: { labels: { 'turnfleet.dev/cluster': 'x' } } },
  'an annotation of the operator': { realm, pod: { annotations: { 'app.kubernetes.io/name': 'x' } } },
}

/** What types forbid already, with a part of the answer. */
const MALFORMED: Record<string, { spec: object; says: RegExp }> = {
  'no realm': { spec: {}, says: /spec\.realm: Required/ },
  'an empty realm': { spec: { realm: '' }, says: /spec\.realm/ },
  'negative replicas': { spec: { realm, replicas: -1 }, says: /spec\.replicas.*greater than or equal to 0/ },
  'a million replicas': {
    spec: { realm, replicas: 1_000_000 },
    says: /spec\.replicas.*less than or equal to 1000/,
  },
  'port 0': { spec: { realm, listeners: [{ ...udp, port: 0 }] }, says: /listeners\[0\]\.port/ },
  'port 65536': { spec: { realm, listeners: [{ ...udp, port: 65_536 }] }, says: /listeners\[0\]\.port/ },
  'an unknown protocol': {
    spec: { realm, listeners: [{ ...udp, protocol: 'SCTP' }] },
    says: /supported values: "UDP", "TCP", "TLS"/,
  },
  'two listeners of one name': {
    spec: { realm, listeners: [udp, { ...udp, port: 3479 }] },
    says: /Duplicate value/,
  },
  'no listeners': { spec: { realm, listeners: [] }, says: /listeners/ },
  'an unknown address source': {
    spec: { realm, network: { addressSources: ['Guess'] } },
    says: /addressSources\[0\]/,
  },
  'an empty Secret name': { spec: { realm, tls: { secretName: '' } }, says: /tls\.secretName/ },
}

test('the API server refuses what makes no sense, in the same words as standalone mode', async () => {
  for (const [name, input] of Object.entries(SENSELESS)) {
    const expected = brokenRules(turnClusterSpec.parse(input))
    assert.ok(expected.length > 0, `${name}: no rule is broken`)
    const said = await refusal(cluster(input))
    for (const sentence of expected) assert.ok(said.includes(sentence), `${name}: ${said}`)
  }
})

test('every rule is broken by one of these', () => {
  const specs = Object.values(SENSELESS).map((input) => turnClusterSpec.parse(input))
  const unbroken = SPEC_RULES.filter((rule) => !specs.some((spec) => rule.broken(spec)))
  assert.deepEqual(
    unbroken.map(({ message }) => message),
    [],
  )
})

test('the API server refuses what is malformed and names the field', async () => {
  for (const [name, { spec, says }] of Object.entries(MALFORMED))
    assert.match(await refusal(cluster(spec)), says, name)
  const long = 'a'.repeat(49)
  assert.match(await refusal(cluster({ realm }, long)), /metadata\.name may have at most 48 characters/)
})

test('a minimal object gets every default, and the operator reads it as it stands', async () => {
  const created = await api.create(cluster({ realm }))
  const parsed = parseTurnCluster(created)
  assert.ok('cluster' in parsed)
  const ownDefaults = turnClusterSpec.parse({ realm })
  assert.deepEqual(parsed.cluster.spec, ownDefaults)
  assert.equal(created.spec.replicas, 2)
  assert.deepEqual((created.spec.network as { relayPorts: object }).relayPorts, { min: 49_152, max: 65_535 })
  assert.equal(created.spec.listeners, undefined)
  await api.delete(created)
})

test('the realm cannot be changed', async () => {
  const created = await api.create(cluster({ realm }, 'fixed'))
  await assert.rejects(
    api.merge(created, { spec: { realm: 'other.example.org' } }),
    /realm cannot be changed/,
  )
  await api.delete(created)
})

test('listeners of two appliers join, and each takes away only its own', async () => {
  const apply = (manager: string, listeners: object[]): Promise<Cluster> =>
    api.client.request({
      method: 'PATCH',
      path: '/apis/turnfleet.dev/v1alpha1/namespaces/default/turnclusters/joint',
      query: { fieldManager: manager },
      body: { ...cluster({ realm, listeners }, 'joint'), metadata: { name: 'joint', namespace: 'default' } },
      contentType: 'application/apply-patch+yaml',
    })
  const names = ({ spec }: Cluster) => (spec.listeners as { name: string }[]).map(({ name }) => name)
  const first = { name: 'alt', protocol: 'UDP', port: 3479 }
  assert.deepEqual(names(await apply('one', [first])), ['alt'])
  assert.deepEqual(names(await apply('two', [{ name: 'tcp', protocol: 'TCP', port: 443 }])).sort(), [
    'alt',
    'tcp',
  ])
  const left = await apply('two', [])
  assert.deepEqual(names(left), ['alt'])
  await api.delete(left)
})

test('/scale reads and writes the number of relays, and printer columns are served', async () => {
  const created = await api.create(cluster({ realm }, 'scaled'))
  await plane.kubectl(['scale', 'turncluster/scaled', '--replicas=5'])
  const found = await api.find<Cluster>('turnfleet.dev/v1alpha1', 'TurnCluster', 'default', 'scaled')
  assert.equal(found?.spec.replicas, 5)
  const header = (await plane.kubectl(['get', 'tc', 'scaled'])).split('\n')[0]!
  for (const column of ['READY', 'RELAYS', 'DRAINING', 'ALLOCATIONS', 'UTIL%', 'REASON', 'AGE'])
    assert.match(header, new RegExp(column))
  await api.delete(created)
})
