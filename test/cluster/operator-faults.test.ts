import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import type { TurnClusterStatus } from '../../operator/api/turn-cluster.ts'
import { kubeconfigConnection } from '../../operator/kube/credentials.ts'
import type { KubeObject, PodObject } from '../../operator/kube/objects.ts'
import { type OperatorOptions, parseOptions } from '../../operator/kube/options.ts'
import { Operator } from '../../operator/main.ts'
import { Api, CRD_FILE } from './api.ts'
import { type ControlPlane, freePorts, OBJECT_CONTROLLERS, startControlPlane } from './control-plane.ts'
import { FakeKubelet } from './fake-kubelet.ts'
import { FaultProxy } from './fault-proxy.ts'
import { CLUSTER_RULES, grantOperator, serveNamespace } from './operator-rights.ts'

const NODES = ['node-0', 'node-1', 'node-2']
/** More than creating a cluster and shrinking it takes. */
const WRITES_MAX = 16
const OPERATOR_MB_MAX = 150
const PROGRAM = new URL('in-cluster-operator.ts', import.meta.url).pathname

interface Cluster extends KubeObject {
  spec: Record<string, unknown>
  status?: TurnClusterStatus
}

let plane: ControlPlane
let api: Api
let firstKubelet: FakeKubelet

before(async () => {
  plane = await startControlPlane({ controllers: OBJECT_CONTROLLERS, manifests: [CRD_FILE] })
  api = await Api.of(plane.adminKubeconfig)
  await api.untilServed()
  firstKubelet = new FakeKubelet(api, 'default')
  for (const [i, name] of NODES.entries()) await firstKubelet.addNode(name, `203.0.113.${10 + i}`)
})

after(async () => {
  await firstKubelet?.stop()
  api?.client.close()
  await plane?.stop()
})

/** A namespace with nodes that play, and operators that serve it alone, each through a proxy of its own. */
class Stage {
  readonly namespace: string
  readonly kubelet: FakeKubelet
  readonly port: number
  readonly #running: { operator: Operator; proxy: FaultProxy }[] = []

  private constructor(namespace: string, port: number) {
    this.namespace = namespace
    this.port = port
    this.kubelet = new FakeKubelet(api, namespace)
  }

  static async open(namespace: string): Promise<Stage> {
    await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
    await api.until('its account', async () =>
      Boolean(await api.find('v1', 'ServiceAccount', namespace, 'default')),
    )
    const [port = 0] = await freePorts(1)
    const stage = new Stage(namespace, port)
    stage.kubelet.useNodes(NODES)
    await stage.kubelet.start()
    return stage
  }

  /** An operator that is not started. */
  prepare(proxy: FaultProxy, args: readonly string[] = [], port = this.port): Operator {
    const common = ['--relay-image', 'x', '--namespace', this.namespace, '--watch-namespaces', this.namespace]
    const url = `https://127.0.0.1:${this.port}`
    const place = ['--host', '127.0.0.1', '--port', String(port), '--advertise-url', url]
    const operator = new Operator(parseOptions([...common, ...place, ...args], {}) as OperatorOptions, {
      connection: proxy.connection(),
      log: pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' }),
      checker: async () => ({ passed: true, message: 'echoed' }),
    })
    this.#running.push({ operator, proxy })
    return operator
  }

  async operator(proxy: FaultProxy, args: readonly string[] = [], port = this.port): Promise<Operator> {
    const operator = this.prepare(proxy, args, port)
    await operator.start()
    return operator
  }

  /** Ends an operator as a crash would: nothing that it still tries arrives. */
  async crash(operator: Operator, proxy: FaultProxy): Promise<void> {
    proxy.fault = () => 'cut'
    proxy.cutWatches()
    await operator.stop()
  }

  create(spec: object): Promise<Cluster> {
    const metadata = { name: 'public', namespace: this.namespace }
    return api.create<Cluster>({
      apiVersion: 'turnfleet.dev/v1alpha1',
      kind: 'TurnCluster',
      metadata,
      spec: { realm: 'x', ...spec },
    })
  }

  read(): Promise<Cluster | undefined> {
    return api.find<Cluster>('turnfleet.dev/v1alpha1', 'TurnCluster', this.namespace, 'public')
  }

  pods(): Promise<PodObject[]> {
    return api.list<PodObject>('v1', 'Pod', this.namespace)
  }

  untilReady(replicas: number, isOver: () => boolean = () => false): Promise<true> {
    return api.until(`${replicas} relays are Ready in ${this.namespace}`, async () => {
      if (isOver()) return true
      const found = await this.read()
      const isReady = found?.status?.conditions?.some(
        ({ type, status }) => type === 'Ready' && status === 'True',
      )
      return (
        isReady === true &&
        found?.status?.readyReplicas === replicas &&
        (await this.pods()).length === replicas
      )
    })
  }

  async close(): Promise<void> {
    await this.kubelet.stop()
    for (const { operator, proxy } of this.#running) {
      await operator.stop()
      await proxy.stop()
    }
  }
}

async function newProxy(): Promise<FaultProxy> {
  const proxy = new FaultProxy(await kubeconfigConnection(plane.adminKubeconfig))
  await proxy.start()
  return proxy
}

/** Everything that the operator made in a namespace, without what differs from run to run. */
async function endState(namespace: string): Promise<string[]> {
  const objects: KubeObject[] = []
  for (const kind of ['Pod', 'ConfigMap', 'Secret'])
    objects.push(...(await api.list<KubeObject>('v1', kind, namespace)))
  return objects
    .filter(({ metadata }) => metadata.labels?.['turnfleet.dev/cluster'])
    .map(({ metadata: { name, annotations = {} } }) => {
      const marks = Object.keys(annotations).filter((key) => key.startsWith('turnfleet.dev/'))
      return `${name} ${marks.sort().join(',')}`
    })
    .sort()
}

/** Creates a cluster, then shrinks it, with an operator that dies after its n-th write; answers how it ended. */
async function surviveCrash(n: number): Promise<{ crashed: boolean; state: string[] }> {
  const stage = await Stage.open(`crash-${n}`)
  try {
    const proxy = await newProxy()
    const died = Promise.withResolvers<true>()
    let writes = 0
    proxy.fault = ({ isWrite }) => {
      if (writes >= n) return 'cut'
      if (!isWrite || ++writes < n) return undefined
      died.resolve(true)
      return 'lose-answer'
    }
    const cluster = await stage.create({ replicas: 2 })
    const first = stage.prepare(proxy)
    const starting = first.start().catch(() => {})
    const until = async (step: Promise<unknown>): Promise<boolean> =>
      Promise.race([died.promise, step.then(() => false)])
    const shrink = () => api.merge(cluster, { spec: { replicas: 1 } })
    const isOver = () => writes >= n
    let crashed = await until(stage.untilReady(2, isOver))
    if (!crashed) crashed = await until(shrink().then(() => stage.untilReady(1, isOver)))
    if (crashed) {
      await stage.crash(first, proxy)
      await starting
      await stage.operator(await newProxy())
      await stage.untilReady((await stage.read())?.spec.replicas as number)
      await shrink()
      await stage.untilReady(1)
    }
    return { crashed, state: await endState(stage.namespace) }
  } finally {
    await stage.close()
  }
}

test('an operator that dies after any of its writes leaves what the next one brings to the same end', async () => {
  const numbers = Array.from({ length: WRITES_MAX }, (_, i) => i + 1)
  const results = new Map<number, Awaited<ReturnType<typeof surviveCrash>>>()
  const worker = async (): Promise<void> => {
    for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) results.set(n, await surviveCrash(n))
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  const undisturbed = [...results.values()].filter(({ crashed }) => !crashed)
  console.log(`crashed after each of ${results.size - undisturbed.length} writes`)
  assert.ok(results.size - undisturbed.length >= 8)
  assert.equal([...results.values()][0]!.state.length, 3, 'one relay, its ConfigMap and its keys')
  const names = (state: string[]) => state.map((line) => line.replace(/public-[01]-/, 'public-N-'))
  for (const [n, { state }] of results)
    assert.deepEqual(names(state), names([...results.values()][0]!.state), `after write ${n}`)
})

test('of two operators with one Lease one works, and the other takes over when it stops', async () => {
  const stage = await Stage.open('two')
  try {
    const proxies = [await newProxy(), await newProxy()] as const
    const [otherPort = 0] = await freePorts(1)
    const first = await stage.operator(proxies[0], ['--leader-elect'])
    const lease = () =>
      api.find<KubeObject & { spec?: { holderIdentity?: string } }>(
        'coordination.k8s.io/v1',
        'Lease',
        'two',
        'turnfleet-operator',
      )
    const holder = await api.until('the first one leads', async () => (await lease())?.spec?.holderIdentity)
    const second = await stage.operator(proxies[1], ['--leader-elect'], otherPort)
    const cluster = await stage.create({ replicas: 1 })
    await stage.untilReady(1)
    const otherWrites = () => proxies[1].writes().filter((write) => !/\/leases/.test(write))
    assert.deepEqual(otherWrites(), [])
    assert.equal((await readiness(otherPort)).status, 503)
    assert.match((await readiness(otherPort)).text, /another replica works/)

    await first.stop()
    await api.until(
      'the second one leads',
      async () => ((await lease())?.spec?.holderIdentity ?? holder) !== holder,
    )
    await api.until('it is ready', async () => (await readiness(otherPort)).status === 200)
    const writesOfFirst = proxies[0].writes().length
    await api.merge(cluster, { spec: { replicas: 2 } })
    await api.until('the second one writes', async () =>
      otherWrites().some((write) => /POST .*\/pods/.test(write)),
    )
    assert.equal(proxies[0].writes().length, writesOfFirst)
    await second.stop()
  } finally {
    await stage.close()
  }
})

test('watches that are cut and events that are lost are made up for', async () => {
  const stage = await Stage.open('cut')
  try {
    const proxy = await newProxy()
    const operator = await stage.operator(proxy)
    const cluster = await stage.create({ replicas: 2 })
    await stage.untilReady(2)
    // No watch comes back, and its point in time is forgotten: what happens meanwhile is only found by a new list.
    let expired = 0
    proxy.fault = ({ path }) =>
      path.includes('watch=true') && expired++ < 12 ? { status: 410, reason: 'Expired' } : undefined
    proxy.cutWatches()
    const [victim] = await stage.pods()
    await api.delete(
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: victim!.metadata.name, namespace: 'cut' } },
      0,
    )
    await api.merge(cluster, { spec: { replicas: 3 } })
    await stage.untilReady(3)
    assert.ok(expired > 0)
    assert.ok((await stage.pods()).every(({ metadata }) => metadata.uid !== victim!.metadata.uid))
    assert.ok(operator.world.counts().Pod!.lists >= 2)
  } finally {
    await stage.close()
  }
})

test('a storm of refusals makes no hot loop, and the cluster comes up after it', async () => {
  const stage = await Stage.open('storm')
  try {
    const proxy = await newProxy()
    await stage.operator(proxy)
    let refused = 0
    proxy.fault = ({ isWrite }) => {
      if (!isWrite) return undefined
      refused += 1
      return refused % 2
        ? { status: 500, reason: 'InternalError' }
        : { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 }
    }
    await stage.create({ replicas: 1 })
    const seconds = 3
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    assert.ok(refused > 2 && refused / seconds < 10, `${refused} refused writes in ${seconds} s`)
    proxy.fault = () => undefined
    await stage.untilReady(1)
  } finally {
    await stage.close()
  }
})

test('with the right to get nodes but not to list them the operator asks for those of its relays', async () => {
  const stage = await Stage.open('get-only')
  try {
    const nodes = [{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }]
    const reviews = CLUSTER_RULES.filter(({ resources }) => !resources.includes('nodes'))
    const grant = {
      namespace: 'get-only',
      account: 'operator',
      served: ['get-only'],
      clusterRules: [...nodes, ...reviews],
    }
    const kubeconfig = await plane.kubeconfigForToken('get-only', await grantOperator(api, grant))
    const proxy = new FaultProxy(await kubeconfigConnection(kubeconfig))
    await proxy.start()
    await stage.operator(proxy)
    await stage.create({ replicas: 1 })
    await stage.untilReady(1)
    const [pod] = await stage.pods()
    assert.match(pod?.metadata.annotations?.['turnfleet.dev/addresses'] ?? '', /203\.0\.113\./)
    const status = (await stage.read())?.status
    const known = status?.conditions?.find(({ type }) => type === 'NetworksKnown')
    assert.deepEqual([known?.status, known?.reason], ['False', 'NodesNotReadable'])
  } finally {
    await stage.close()
  }
})

test('a served namespace without rights holds up no other, and comes in when it is given them', async () => {
  const stage = await Stage.open('open')
  try {
    await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'closed' } })
    const grant = { namespace: 'open', account: 'operator', served: ['open'] }
    const kubeconfig = await plane.kubeconfigForToken('open', await grantOperator(api, grant))
    const proxy = new FaultProxy(await kubeconfigConnection(kubeconfig))
    await proxy.start()
    const operator = await stage.operator(proxy, ['--watch-namespaces', 'open,closed'])
    await stage.create({ replicas: 1 })
    await stage.untilReady(1)
    assert.match(operator.world.problems().join(), /cannot list resource/)
    assert.equal(operator.world.hasSynced('closed'), false)
    await serveNamespace(api, grant, 'closed')
    await api.until('the other one is served', async () => operator.world.hasSynced('closed'), 40_000)
  } finally {
    await stage.close()
  }
})

test('the operator process stays small, and ends on SIGTERM while its relays go on', async () => {
  const stage = await Stage.open('process')
  const token = await grantOperator(api, { namespace: 'process', account: 'operator', served: ['process'] })
  const account = await mkdtemp(join(tmpdir(), 'turnfleet-account-'))
  const files = { token, 'ca.crt': plane.authority.pair.cert, namespace: 'process' }
  for (const [name, text] of Object.entries(files)) await writeFile(join(account, name), text)
  const { hostname, port } = new URL(plane.url)
  const child = spawn(process.execPath, ['--max-semi-space-size=2', PROGRAM, account], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
      WATCH_NAMESPACES: 'process',
      RELAY_IMAGE: 'x',
      PORT: String(stage.port),
      ADVERTISE_URL: `https://127.0.0.1:${stage.port}`,
    },
  })
  const ended = once(child, 'exit')
  try {
    await stage.create({ replicas: 2 })
    await stage.untilReady(2)
    const heard = async () =>
      [...stage.kubelet.relays.values()].every(({ directives }) => directives.length > 10)
    await api.until('ten reports of each relay are answered', heard)
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8')
    const residentMb = (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / 1e6
    console.log(`operator process: ${residentMb.toFixed(0)} MB resident`)
    assert.ok(residentMb <= OPERATOR_MB_MAX, `${residentMb} MB`)
    const before = (await stage.pods()).map(({ metadata }) => metadata.resourceVersion)
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
    assert.deepEqual(
      (await stage.pods()).map(({ metadata }) => metadata.resourceVersion),
      before,
    )
  } finally {
    child.kill('SIGKILL')
    await ended
    await stage.close()
    await rm(account, { recursive: true })
  }
})

test('while the API server is away relays are answered and clients served; afterwards work goes on', async () => {
  const stage = await Stage.open('away')
  try {
    const operator = await stage.operator(await newProxy())
    const cluster = await stage.create({ replicas: 2 })
    await stage.untilReady(2)
    await plane.kill('kube-apiserver')
    const relays = [...stage.kubelet.relays.values()]
    const answered = relays.map(({ directives }) => directives.length)
    const heard = async () => relays.every(({ directives }, i) => directives.length >= answered[i]! + 12)
    await api.until('a dozen reports of each relay are answered', heard)
    assert.equal(operator.fleet.published('away/public')?.relays.length, 2)
    assert.equal((await readiness(stage.port)).status, 200)
    await plane.restart('kube-apiserver')
    await api.merge(cluster, { spec: { replicas: 3 } })
    await stage.untilReady(3)
  } finally {
    await stage.close()
  }
})

async function readiness(port: number): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `https://127.0.0.1:${port}/readyz`,
      { rejectUnauthorized: false, agent: false },
      (response) => {
        let text = ''
        response.on('data', (chunk) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      },
    )
    outgoing.on('error', reject)
    outgoing.end()
  })
}
