import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import type { TurnClusterStatus } from '../../operator/api/turn-cluster.ts'
import { createApiKey } from '../../operator/http/api-keys.ts'
import { kubeconfigConnection } from '../../operator/kube/credentials.ts'
import type {
  ConfigMapObject,
  KubeObject,
  PodObject,
  SecretObject,
  ServiceObject,
} from '../../operator/kube/objects.ts'
import { type OperatorOptions, parseOptions } from '../../operator/kube/options.ts'
import { Operator } from '../../operator/main.ts'
import { relayConfig } from '../../relay/api/config.ts'
import { parseAddress } from '../../relay/stun/address-text.ts'
import { PeerPolicy } from '../../relay/turn/peer-policy.ts'
import { Api, CRD_FILE } from './api.ts'
import { type ControlPlane, freePorts, OBJECT_CONTROLLERS, startControlPlane } from './control-plane.ts'
import { FakeKubelet, type FakeRelay, send } from './fake-kubelet.ts'
import { grantOperator } from './operator-rights.ts'
import { TestAuthority } from './pki.ts'

const NAMESPACE = 'turn'
const OWN = 'turnfleet'
const NODES = 4

interface Cluster extends KubeObject {
  spec: Record<string, unknown>
  status?: TurnClusterStatus
}

let plane: ControlPlane
let api: Api
let kubelet: FakeKubelet
let operator: Operator
let port: number
let token: string
let apiKey: string
let moderatorKey: string
/** Whether the check through a relay's public address passes. */
let reachable = true

before(async () => {
  plane = await startControlPlane({ audit: true, controllers: OBJECT_CONTROLLERS, manifests: [CRD_FILE] })
  api = await Api.of(plane.adminKubeconfig)
  await api.untilServed()
  for (const name of [NAMESPACE, OWN])
    await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const hasAccount = async () => Boolean(await api.find('v1', 'ServiceAccount', NAMESPACE, 'default'))
  await api.until('the default service account', hasAccount)
  token = await grantOperator(api, { namespace: OWN, account: 'operator', served: [NAMESPACE] })
  ;[port = 0] = await freePorts(1)
  const made = createApiKey({ id: 'web-app' })
  apiKey = made.key
  const moderator = createApiKey({ id: 'moderator', revoke: true })
  moderatorKey = moderator.key
  const keys = { 'api-keys.yaml': btoa(JSON.stringify([made.entry, moderator.entry])) }
  await api.create({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'api-keys', namespace: OWN },
    data: keys,
  } as SecretObject)
  kubelet = new FakeKubelet(api, NAMESPACE)
  await kubelet.start()
  for (let i = 0; i < NODES; i++) await kubelet.addNode(`node-${i}`, `203.0.113.${10 + i}`)
  operator = await startOperator()
})

after(async () => {
  await operator?.stop()
  await kubelet?.stop()
  api?.client.close()
  await plane?.stop()
})

/** The operator as its service account, with the rights that its help names and no others. */
async function startOperator(): Promise<Operator> {
  const kubeconfig = await plane.kubeconfigForToken('operator', token)
  const options = parseOptions(
    [
      '--relay-image',
      'turnfleet:test',
      '--namespace',
      OWN,
      '--watch-namespaces',
      NAMESPACE,
      '--host',
      '127.0.0.1',
      '--api-keys-secret',
      'api-keys',
    ],
    { PORT: String(port), ADVERTISE_URL: `https://127.0.0.1:${port}` },
  ) as OperatorOptions
  const started = new Operator(options, {
    connection: await kubeconfigConnection(kubeconfig),
    log: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }),
    checker: async () => ({ passed: reachable, message: reachable ? 'echoed' : 'nothing came back' }),
  })
  await started.start()
  return started
}

function drainingRelay(): FakeRelay | undefined {
  return [...kubelet.relays.values()].find((relay) => relay.draining)
}

/** The authority that relays are given. */
async function authority(): Promise<string> {
  const configMap = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay')
  return configMap?.data?.['operator-ca.crt'] ?? ''
}

/** `POST /v1/ice`. */
async function ask(bearer: string): Promise<{ status: number; body: unknown }> {
  const body = { cluster: `${NAMESPACE}/public`, user: 'alice' }
  const { status, text } = await send('POST', `https://127.0.0.1:${port}/v1/ice`, bearer, await authority(), {
    body,
  })
  return { status, body: JSON.parse(text) }
}

interface RevocationsView {
  generation: number
  revocation?: { id: string }
  revocations: { id: string; user?: string }[]
  relays: { reporting: number; acknowledged: number }
}

/** The revocations of the cluster `public`. */
async function revocations(
  method: 'GET' | 'POST' | 'DELETE' = 'GET',
  change: { id?: string; body?: object; bearer?: string } = {},
): Promise<{ status: number; view: RevocationsView }> {
  const path = `/v1/clusters/${NAMESPACE}/public/revocations${change.id ? `/${change.id}` : ''}`
  const bearer = change.bearer ?? moderatorKey
  const { body } = change
  const url = `https://127.0.0.1:${port}${path}`
  const { status, text } = await send(method, url, bearer, await authority(), body ? { body } : {})
  return { status, view: JSON.parse(text) as RevocationsView }
}

async function create(name: string, spec: object): Promise<Cluster> {
  return api.create<Cluster>({
    apiVersion: 'turnfleet.dev/v1alpha1',
    kind: 'TurnCluster',
    metadata: { name, namespace: NAMESPACE },
    spec: { realm: 'turn.example.org', ...spec },
  })
}

async function read(name: string): Promise<Cluster> {
  const found = await api.find<Cluster>('turnfleet.dev/v1alpha1', 'TurnCluster', NAMESPACE, name)
  assert.ok(found, `TurnCluster ${name} is gone`)
  return found
}

function pods(cluster: string): Promise<PodObject[]> {
  return api.list<PodObject>('v1', 'Pod', NAMESPACE, `turnfleet.dev/cluster=${cluster}`)
}

/** Waits for a condition of the cluster, and says how it stands when it does not come. */
async function untilCondition(name: string, type: string, status: string, reason?: RegExp): Promise<Cluster> {
  let last: unknown
  const attempt = async (): Promise<Cluster | undefined> => {
    const cluster = await read(name)
    last = cluster.status?.conditions
    const condition = cluster.status?.conditions?.find((one) => one.type === type)
    return condition?.status === status && (!reason || reason.test(condition.reason)) ? cluster : undefined
  }
  return api.until(`${name} is ${type}=${status}`, attempt).catch((error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify(last, null, 1)}`)
  })
}

async function remove(cluster: KubeObject): Promise<void> {
  await api.delete(cluster)
  await api.until('its pods are gone', async () => (await pods(cluster.metadata.name)).length === 0)
}

test('a TurnCluster becomes relays that are Ready, with their ConfigMap, keys and addresses', async () => {
  const startedAt = performance.now()
  const cluster = await create('public', { replicas: 2 })
  const ready = await untilCondition('public', 'Ready', 'True')
  console.log(`create to Ready: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  const relays = await pods('public')
  assert.equal(relays.length, 2)
  for (const { metadata } of relays) {
    assert.match(metadata.name, /^public-[01]-[0-9a-f]{8}$/)
    assert.equal(metadata.ownerReferences?.[0]?.uid, cluster.metadata.uid)
    assert.match(metadata.annotations?.['turnfleet.dev/addresses'] ?? '', /203\.0\.113\.1\d/)
  }
  assert.equal(ready.status?.observedGeneration, 1)
  assert.equal(ready.status?.readyReplicas, 2)
  assert.ok(ready.status?.uris?.some((uri) => uri.startsWith('turn:203.0.113.1')))
  const configMap = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay')
  assert.match(configMap?.data?.['operator-ca.crt'] ?? '', /BEGIN CERTIFICATE/)
  assert.ok(await api.find<SecretObject>('v1', 'Secret', NAMESPACE, 'public-turn-keys'))
  assert.deepEqual(
    [...kubelet.relays.values()].flatMap(({ errors }) => errors),
    [],
  )
  assert.match(await plane.kubectl(['get', 'tc', '-n', NAMESPACE, 'public']), /public +True +2 +/)
})

test('the web app gets ICE servers with its API key, and a pod with its token where it has the right', async () => {
  const keyed = (await ask(apiKey)) as {
    status: number
    body: { iceServers: { urls: string[]; username: string }[] }
  }
  assert.equal(keyed.status, 200, JSON.stringify(keyed.body))
  assert.ok(keyed.body.iceServers.every(({ urls }) => urls.some((url) => url.startsWith('turn:203.0.113.1'))))
  assert.match(keyed.body.iceServers[0]!.username, /^\d+:alice$/)

  assert.equal((await ask('tfk_nonsense')).status, 401)
  assert.equal((await ask('nonsense')).status, 401)
  for (const name of ['may', 'may-not'])
    await api.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: NAMESPACE } })
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'ice', namespace: NAMESPACE } }
  const rules = [{ apiGroups: ['turnfleet.dev'], resources: ['turnclusters/ice'], verbs: ['create'] }]
  await api.create({ ...role, kind: 'Role', rules } as KubeObject)
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'ice' }
  const subjects = [{ kind: 'ServiceAccount', name: 'may', namespace: NAMESPACE }]
  await api.create({ ...role, kind: 'RoleBinding', roleRef, subjects } as KubeObject)
  const scrape = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'scrape' } }
  const metrics = [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]
  await api.create({ ...scrape, kind: 'ClusterRole', rules: metrics } as KubeObject)
  const clusterRole = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'scrape' }
  await api.create({ ...scrape, kind: 'ClusterRoleBinding', roleRef: clusterRole, subjects } as KubeObject)
  const tokenOf = async (name: string) =>
    (await plane.kubectl(['create', 'token', name, '-n', NAMESPACE])).trim()
  assert.equal((await ask(await tokenOf('may'))).status, 200)
  assert.equal((await ask(await tokenOf('may-not'))).status, 403)
  const page = await send('GET', `https://127.0.0.1:${port}/metrics`, await tokenOf('may'), await authority())
  assert.match(page.text, /turnfleet_operator_desired_relays\{cluster="turn\/public",binding="Replicas"\} 2/)
  assert.match(page.text, /turnfleet_operator_api_requests_total\{verb="POST",status="201"\} \d+/)
  assert.match(page.text, /turnfleet_operator_reflector_lists_total\{kind="Pod"\} 1/)
})

test('a revocation is kept in a ConfigMap of the cluster, and reaches every relay with its next report', async () => {
  assert.equal((await revocations('POST', { body: { user: 'mallory' }, bearer: apiKey })).status, 403)
  const startedAt = performance.now()
  const added = await revocations('POST', { body: { user: 'mallory', for: '1h' } })
  assert.equal(added.status, 201, JSON.stringify(added.view))
  await api.until('every relay has it', async () => (await revocations()).view.relays.acknowledged === 2)
  console.log(`POST to its acknowledgement by both relays: ${Math.round(performance.now() - startedAt)} ms`)
  const kept = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-revocations')
  assert.equal(kept?.metadata.ownerReferences?.[0]?.uid, (await read('public')).metadata.uid)
  assert.match(kept?.data?.['revocations.yaml'] ?? '', /"user": "mallory"/)
  const volumes = (await pods('public')).map(
    (pod) => (pod.spec as { volumes?: { name: string; configMap?: object }[] }).volumes ?? [],
  )
  for (const volume of volumes.map((all) => all.find(({ name }) => name === 'revocations'))) {
    assert.partialDeepStrictEqual(volume?.configMap, { name: 'public-revocations', optional: true })
  }
  const parallel = await Promise.all(
    ['a', 'b', 'c', 'd'].map((user) => revocations('POST', { body: { user } })),
  )
  assert.deepEqual(
    parallel.map(({ status }) => status),
    [201, 201, 201, 201],
  )
  assert.equal((await revocations()).view.revocations.length, 5, 'none of those made at once is lost')
})

test('relays are told of pods, Services and nodes, which are no peers, and of new ones without a restart', async () => {
  const peers = async () => {
    const configMap = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay')
    return relayConfig.parse(JSON.parse(configMap?.data?.['relay.yaml'] ?? '')).peers
  }
  const before = await peers()
  assert.deepEqual(before.nodes, [
    '10.0.0.1',
    ...Array.from({ length: NODES }, (_, i) => `203.0.113.${10 + i}`),
  ])
  const service = await api.find<ServiceObject>('v1', 'Service', 'default', 'kubernetes')
  const policy = new PeerPolicy({ ...before, advertised: [], own: [], ownPorts: new Set() }, () => false)
  assert.equal(policy.explain(parseAddress(service?.spec?.clusterIP ?? '', 0)!).rule, 'internal')
  const uids = (await pods('public')).map(({ metadata }) => metadata.uid)
  const node = await api.find<KubeObject>('v1', 'Node', undefined, 'node-0')
  await api.merge(node!, { spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24'] } })
  await api.until('the pods of the node are named', async () =>
    (await peers()).internal.includes('10.244.0.0/24'),
  )
  assert.deepEqual(
    (await pods('public')).map(({ metadata }) => metadata.uid),
    uids,
  )
  await untilCondition('public', 'NetworksKnown', 'True', /Known/)
})

test('an idle operator writes nothing', async () => {
  const objects = async () =>
    [...(await pods('public')), await read('public')].map(({ metadata }) => metadata.resourceVersion)
  // What the step before gave rise to is written first.
  let seen = ''
  await api.until('the operator has nothing left to write', async () => {
    const last = seen
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    seen = String(await objects())
    return seen === last
  })
  const before = await objects()
  const writesBefore = await operatorWrites()
  await new Promise((resolve) => setTimeout(resolve, 4_500))
  assert.deepEqual(await objects(), before)
  assert.deepEqual((await operatorWrites()).slice(writesBefore.length), [])
})

test('an operator restart changes nothing', async () => {
  const before = new Map(
    (await pods('public')).map(({ metadata }) => [metadata.uid, metadata.resourceVersion]),
  )
  const statusBefore = (await read('public')).status
  await operator.stop()
  for (const relay of kubelet.relays.values()) relay.directives = []
  const writesBefore = await operatorWrites()
  operator = await startOperator()
  const heard = async () => [...kubelet.relays.values()].every(({ directives }) => directives.length >= 4)
  await api.until('every relay has been answered by the new operator', heard)
  assert.deepEqual(
    [...kubelet.relays.values()].filter(({ draining }) => draining),
    [],
  )
  assert.deepEqual(
    new Map((await pods('public')).map(({ metadata }) => [metadata.uid, metadata.resourceVersion])),
    before,
  )
  assert.deepEqual((await read('public')).status, statusBefore)
  assert.deepEqual((await operatorWrites()).slice(writesBefore.length), [])
})

test('revocations outlive the operator, and a relay that knows none gets the whole list', async () => {
  const { view } = await revocations()
  assert.equal(view.revocations.length, 5)
  const [forgetful] = [...kubelet.relays.values()]
  forgetful!.revocations = 0
  await api.until('it has them again', async () => forgetful!.revocations === view.generation)
  const { id = '' } = view.revocations.find(({ user }) => user === 'mallory') ?? {}
  const { status, view: after } = await revocations('DELETE', { id })
  assert.deepEqual([status, after.revocations.length], [200, 4])
  await api.until('every relay has heard', async () => (await revocations()).view.relays.acknowledged === 2)
})

test('a relay that dies is unpublished at once, and one whose pod is deleted is replaced', async () => {
  const [victim] = await pods('public')
  const { name, uid } = victim!.metadata
  await kubelet.crash(name)
  const published = () => operator.fleet.published('turn/public')?.relays ?? []
  await api.until('it is unpublished', async () => published().every((relay) => relay.uid !== uid), 5_000)
  await api.delete({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE } }, 0)
  await api.until('another relay is Ready', async () => {
    return published().length === 2 && published().every((relay) => relay.uid !== uid)
  })
  await untilCondition('public', 'Ready', 'True')
})

test('scaling down drains, waits for the calls to end, and only then deletes', async () => {
  const cluster = await read('public')
  await api.merge(cluster, { spec: { replicas: 3 } })
  const three = async () => operator.fleet.published('turn/public')?.relays.length === 3
  await api.until('three relays are Ready', three)
  for (const relay of kubelet.relays.values()) relay.allocations = 5
  await api.until('the load is known', async () => {
    const loads = [...operator.fleet.loads('turn/public').values()]
    return loads.filter(({ report }) => report.allocations === 5).length === 3
  })
  await api.merge(cluster, { spec: { replicas: 2 } })
  const draining = await api.until('one relay drains', async () => drainingRelay())
  const { name, uid } = draining.pod.metadata
  assert.ok(
    !operator.fleet.published('turn/public')?.relays.some((relay) => relay.uid === uid),
    'unpublished before drained',
  )
  assert.ok((draining.directives.at(-1)?.alternates.length ?? 0) > 0, 'it is told where to send new clients')
  const acknowledged = draining.directives.length + 6
  await api.until('some reports later', async () => draining.directives.length > acknowledged)
  const busy = await api.find<PodObject>('v1', 'Pod', NAMESPACE, name)
  assert.equal(busy?.metadata.uid, uid)
  assert.equal(busy?.metadata.deletionTimestamp, undefined)
  draining.allocations = 0
  await api.until('it is deleted', async () => !(await api.find('v1', 'Pod', NAMESPACE, name)))
  assert.equal((await pods('public')).length, 2)
})

test('a drain that lasts too long ends, and an Event says what it cost', async () => {
  const cluster = await read('public')
  for (const relay of kubelet.relays.values()) relay.allocations = 3
  await api.merge(cluster, { spec: { replicas: 1, drain: { maxDuration: '1s' } } })
  const drained = await api.until('one relay drains', async () => drainingRelay())
  const { name, uid } = drained.pod.metadata
  await api.until('it is gone', async () =>
    (await pods('public')).every(({ metadata }) => metadata.uid !== uid),
  )
  const events = await api.list<KubeObject & { reason?: string; type?: string; note?: string }>(
    'events.k8s.io/v1',
    'Event',
    NAMESPACE,
  )
  const forced = events.find(({ reason }) => reason === 'DrainDeadline')
  assert.equal(forced?.type, 'Warning')
  assert.match(forced?.note ?? '', new RegExp(`${name}.*drain\\.maxDuration is over`))
  await api.merge(cluster, { spec: { replicas: 2, drain: { maxDuration: '4h' } } })
  await api.until('two are Ready', async () => operator.fleet.published('turn/public')?.relays.length === 2)
})

test('a node whose public address changes tells its relay without a restart', async () => {
  const relay = [...kubelet.relays.values()][0]!
  const { name, uid } = relay.pod.metadata
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: relay.node } }
  await api.merge(node, { metadata: { annotations: { 'turnfleet.dev/public-address': '203.0.113.99' } } })
  const published = () => operator.fleet.published('turn/public')?.relays.find((each) => each.uid === uid)
  await api.until('the new address is published', async () => published()?.addresses[0] === '203.0.113.99')
  assert.equal((await api.find<PodObject>('v1', 'Pod', NAMESPACE, name))?.metadata.uid, uid)
})

test('a node that is cordoned loses its relay: replaced first, drained, deleted', async () => {
  for (const relay of kubelet.relays.values()) relay.allocations = 2
  const leaving = [...kubelet.relays.values()][0]!
  const { uid } = leaving.pod.metadata
  const published = () => operator.fleet.published('turn/public')?.relays ?? []
  await plane.kubectl(['cordon', leaving.node])
  kubelet.cordoned.add(leaving.node)
  await api.until('it drains', async () => leaving.draining)
  await api.until('another relay serves in its place', async () => {
    return published().length === 2 && published().every((relay) => relay.uid !== uid)
  })
  assert.ok(
    (await pods('public')).some(({ metadata }) => metadata.uid === uid && !metadata.deletionTimestamp),
  )
  leaving.allocations = 0
  await api.until('it is deleted', async () =>
    (await pods('public')).every(({ metadata }) => metadata.uid !== uid),
  )
  await plane.kubectl(['uncordon', leaving.node])
  kubelet.cordoned.delete(leaving.node)
  for (const relay of kubelet.relays.values()) relay.allocations = 0
})

test('demand that returns brings a draining relay back instead of a new one', async () => {
  const cluster = await read('public')
  const uids = async () => new Set((await pods('public')).map(({ metadata }) => metadata.uid))
  const before = await uids()
  for (const relay of kubelet.relays.values()) relay.allocations = 5
  await api.merge(cluster, { spec: { replicas: 1 } })
  const draining = await api.until('one relay drains', async () => drainingRelay())
  await api.merge(cluster, { spec: { replicas: 2 } })
  await api.until(
    'it serves again',
    async () => !draining.draining && operator.fleet.published('turn/public')?.relays.length === 2,
  )
  assert.deepEqual(await uids(), before)
  for (const relay of kubelet.relays.values()) relay.allocations = 0
})

test('a changed limit reaches the relays without a restart, and at once', async () => {
  const uids = async () => (await pods('public')).map(({ metadata }) => metadata.uid).sort()
  const before = await uids()
  await api.merge(await read('public'), { spec: { limits: { allocationsPerUser: 7 } } })
  await api.until('the ConfigMap carries it and every pod names its hash', async () => {
    const configMap = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay')
    if (!/"allocationsPerUser": 7\b/.test(configMap?.data?.['relay.yaml'] ?? '')) return false
    const hash = configMap?.metadata.annotations?.['turnfleet.dev/hash']
    const all = await pods('public')
    return all.every(({ metadata }) => metadata.annotations?.['turnfleet.dev/config-hash'] === hash)
  })
  assert.deepEqual(await uids(), before)
})

test('what a person changes by hand in our objects is put back', async () => {
  const configMap = (await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay'))!
  const named = { ...configMap, apiVersion: 'v1', kind: 'ConfigMap' }
  await api.merge(named, { data: { 'relay.yaml': 'realm: stolen' } })
  const restored = async () => {
    const found = await api.find<ConfigMapObject>('v1', 'ConfigMap', NAMESPACE, 'public-relay')
    return found?.data?.['relay.yaml'] === configMap.data?.['relay.yaml']
  }
  await api.until('the ConfigMap is as it was', restored)
  await api.delete(named)
  await api.until('a deleted one is there again', restored)
})

test('a relay whose address no traffic passes through is not Ready, and the condition says so', async () => {
  reachable = false
  const cluster = await create('unreachable', {
    replicas: 1,
    listeners: [{ name: 'udp', protocol: 'UDP', port: 3500 }],
  })
  const found = await untilCondition('unreachable', 'Ready', 'False')
  const failed = async () =>
    (await read('unreachable')).status?.relays?.some(({ reason }) => reason === 'CheckFailed')
  await api.until('the check has failed', failed)
  assert.equal(found.status?.readyReplicas ?? 0, 0)
  reachable = true
  await untilCondition('unreachable', 'Ready', 'True')
  await remove(cluster)
})

test('an object of somebody else with a relay’s name is reported and left alone', async () => {
  const spec = { replicas: 1, listeners: [{ name: 'udp', protocol: 'UDP', port: 3600 }] }
  const first = await create('guest', spec)
  const [relay] = await api.until('its relay', async () =>
    (await pods('guest')).length > 0 ? pods('guest') : undefined,
  )
  const { name } = relay!.metadata
  await remove(first)
  const foreign = await api.create<PodObject>({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE },
    spec: { containers: [{ name: 'theirs', image: 'theirs' }], nodeName: 'elsewhere' },
  } as PodObject)
  const cluster = await create('guest', spec)
  await untilCondition('guest', 'Ready', 'True')
  assert.deepEqual(
    (await pods('guest')).map(({ metadata }) => metadata.name),
    [name.replace('guest-0-', 'guest-1-')],
  )
  const untouched = await api.find<PodObject>('v1', 'Pod', NAMESPACE, name)
  assert.equal(untouched?.metadata.resourceVersion, foreign.metadata.resourceVersion)
  const degraded = await untilCondition('guest', 'Degraded', 'True')
  assert.match(JSON.stringify(degraded.status?.conditions), new RegExp(name))
  const events = await api.list<KubeObject & { note?: string }>('events.k8s.io/v1', 'Event', NAMESPACE)
  assert.ok(
    events.some(({ note }) => /belongs to somebody else/.test(note ?? '')),
    'an Event says so',
  )
  await remove(cluster)
  await api.delete({ ...foreign, apiVersion: 'v1', kind: 'Pod' }, 0)
})

test('a bad certificate shows in TLSReady, leaves the relays alone, and heals', async () => {
  const authority = await TestAuthority.make()
  const good = await authority.issue({ commonName: 'x', names: [{ type: 'dns', value: 'turn.example.org' }] })
  const other = await authority.issue({ commonName: 'y' })
  const secret = (cert: string, key: string) => ({ 'tls.crt': btoa(cert), 'tls.key': btoa(key) })
  const tls = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'turn-tls', namespace: NAMESPACE } }
  await api.create({ ...tls, type: 'kubernetes.io/tls', data: secret(good.cert, good.key) } as SecretObject)
  const cluster = await create('secure', {
    replicas: 1,
    tls: { secretName: 'turn-tls', hostname: 'turn.example.org' },
    listeners: [{ name: 'tls', protocol: 'TLS', port: 4443 }],
  })
  await untilCondition('secure', 'TLSReady', 'True')
  await untilCondition('secure', 'Ready', 'True')
  const before = (await pods('secure')).map(({ metadata }) => metadata.uid)
  await api.merge(tls, { data: secret(good.cert, other.key) })
  await api.merge(await read('secure'), {
    metadata: { annotations: { touched: 'yes' } },
    spec: { replicas: 1, drain: { maxDuration: '5h' } },
  })
  const bad = await untilCondition('secure', 'TLSReady', 'False')
  assert.match(JSON.stringify(bad.status?.conditions), /does not belong to tls\.crt/)
  assert.deepEqual(
    (await pods('secure')).map(({ metadata }) => metadata.uid),
    before,
  )
  await api.merge(tls, { data: secret(good.cert, good.key) })
  await api.merge(await read('secure'), { spec: { drain: { maxDuration: '6h' } } })
  await untilCondition('secure', 'TLSReady', 'True')
  await remove(cluster)
})

test('a malformed key ring shows in CredentialsReady and leaves the relays alone', async () => {
  const before = (await pods('public')).map(({ metadata }) => metadata.uid)
  const keys = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'public-turn-keys', namespace: NAMESPACE },
  }
  const good = (await api.find<SecretObject>('v1', 'Secret', NAMESPACE, 'public-turn-keys'))!.data!
  await api.merge(keys, { data: { 'keys.yaml': btoa('keys: []') } })
  await api.merge(await read('public'), { spec: { drain: { maxDuration: '5h' } } })
  const bad = await untilCondition('public', 'CredentialsReady', 'False')
  assert.match(JSON.stringify(bad.status?.conditions), /nonceKeys|keys/)
  assert.equal(operator.fleet.published('turn/public')?.relays.length, 2, 'still published')
  assert.ok(operator.fleet.published('turn/public')?.keyRing, 'the last good keys still sign')
  assert.deepEqual(
    (await pods('public')).map(({ metadata }) => metadata.uid),
    before,
  )
  await api.merge(keys, { data: good })
  await api.merge(await read('public'), { spec: { drain: { maxDuration: '6h' } } })
  await untilCondition('public', 'CredentialsReady', 'True')
})

test('a cluster without public addresses says so instead of using a private one', async () => {
  const cluster = await create('private', {
    replicas: 1,
    network: { addressSources: ['NodeExternalIP'] },
    listeners: [{ name: 'udp', protocol: 'UDP', port: 3700 }],
  })
  const found = await untilCondition('private', 'AddressesResolved', 'False', /NoPublicAddress/)
  assert.equal(found.status?.readyReplicas ?? 0, 0)
  await remove(cluster)
})

test('a deleted TurnCluster takes everything with it', async () => {
  await remove(await read('public'))
  const gone = async () =>
    !(await api.find('v1', 'ConfigMap', NAMESPACE, 'public-relay')) &&
    !(await api.find('v1', 'Secret', NAMESPACE, 'public-turn-keys'))
  await api.until('its ConfigMap and its Secret are gone', gone)
  assert.equal(operator.fleet.published('turn/public'), undefined)
})

test('with the rights that its help names the operator was never refused anything', async () => {
  const refused = (await auditOfOperator()).filter(({ responseStatus }) => responseStatus?.code === 403)
  assert.deepEqual(
    refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
    [],
  )
})

interface AuditLine {
  verb: string
  requestURI: string
  user?: { username?: string }
  responseStatus?: { code?: number }
}

async function auditOfOperator(): Promise<AuditLine[]> {
  const lines = await plane.audit()
  return (lines as AuditLine[]).filter(
    ({ user }) => user?.username === `system:serviceaccount:${OWN}:operator`,
  )
}

/** Reviews ask, and write nothing. */
async function operatorWrites(): Promise<string[]> {
  return (await auditOfOperator())
    .filter(
      ({ verb, requestURI }) =>
        !['get', 'list', 'watch'].includes(verb) && !/(tokenreviews|subjectaccessreviews)/.test(requestURI),
    )
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`)
}
