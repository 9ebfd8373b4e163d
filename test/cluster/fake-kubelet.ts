import { request } from 'node:https'
import { isStatus } from '../../operator/kube/client.ts'
import { type ConfigMapObject, objectPath, type PodObject } from '../../operator/kube/objects.ts'
import { Reflector } from '../../operator/kube/reflector.ts'
import { systemClock } from '../../operator/queue/clock.ts'
import { relayConfig } from '../../relay/api/config.ts'
import type { Directives, LoadReport } from '../../relay/api/load-report.ts'
import { REPORT_TOKEN_AUDIENCE } from '../../relay/api/load-report.ts'
import type { Api } from './api.ts'

const REPORT_EVERY_MS = 250
const CLUSTER_LABEL = 'turnfleet.dev/cluster'

/** One relay that is played: it reports and does what it is told, and carries as many calls as the test says. */
export interface FakeRelay {
  pod: PodObject
  node: string
  allocations: number
  /** Reports stop while this is true. */
  silent: boolean
  /** Every answer that the operator gave, the newest last. */
  directives: Directives[]
  draining: boolean
  /** Generation of the revocations that it was told. */
  revocations: number
  /** What a report was refused with. */
  errors: string[]
}

interface MountedFiles {
  token: string
  relayYaml: string
  ca: string
}

/**
 * Plays the nodes of a cluster: binds pods to nodes, one of a TurnCluster to a node, says that they run, and
 * reports to the operator as their relays would, with tokens of the real API server.
 */
export class FakeKubelet {
  readonly relays = new Map<string, FakeRelay>()
  /** Nodes that take no further pod. */
  readonly cordoned = new Set<string>()
  readonly #api: Api
  readonly #pods: Reflector<PodObject>
  readonly #nodes = new Set<string>()
  readonly #busy = new Set<string>()
  /** Pods that changed while they were busy. */
  readonly #again = new Set<string>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #sequence = new Map<string, number>()
  readonly #mounted = new Map<string, MountedFiles>()
  #stopped = false

  constructor(api: Api, namespace: string) {
    this.#api = api
    this.#pods = new Reflector<PodObject>(api.client, {
      path: `/api/v1/namespaces/${namespace}/pods`,
      onChange: (after, before) => void this.#onPod(after, before),
      clock: systemClock,
      random: Math.random,
    })
  }

  async start(): Promise<void> {
    this.#pods.start()
    await this.#pods.synced
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await this.#pods.stop()
  }

  async addNode(name: string, publicAddress?: string): Promise<void> {
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        ...(publicAddress ? { annotations: { 'turnfleet.dev/public-address': publicAddress } } : {}),
      },
    }
    await this.#api.create(node)
    const conditions = [{ type: 'Ready', status: 'True', reason: 'Played', message: 'played' }]
    await this.#api.merge(
      node,
      { status: { conditions, addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] } },
      'status',
    )
    // What a node controller would take away once the node is ready.
    await this.#api.merge(node, { spec: { taints: null } })
    this.#nodes.add(name)
    for (const pod of this.#pods.store.values()) void this.#onPod(pod, undefined)
  }

  /** Plays nodes that were added elsewhere, too. */
  useNodes(names: readonly string[]): void {
    for (const name of names) this.#nodes.add(name)
  }

  /** Ends the relay's process, as a crash of its node would. */
  async crash(name: string): Promise<void> {
    const relay = this.relays.get(name)
    if (!relay) throw new Error(`there is no relay ${name}`)
    this.#forget(name)
    await this.#api.merge(
      podOf(relay.pod),
      { status: { phase: 'Failed', reason: 'Crashed', message: 'played' } },
      'status',
    )
  }

  async #onPod(pod: PodObject | undefined, before: PodObject | undefined): Promise<void> {
    const { name, labels } = (pod ?? before)!.metadata
    if (!pod) return this.#forget(name)
    if (this.#stopped || !labels?.[CLUSTER_LABEL]) return
    if (this.#busy.has(name)) return void this.#again.add(name)
    this.#busy.add(name)
    try {
      await this.#play(pod)
    } catch (error) {
      if (isStatus(error, 409)) this.#again.add(name)
      else if (!isStatus(error, 404) && !this.#stopped) throw error
    } finally {
      this.#busy.delete(name)
      const newest = this.#pods.store.get(`${pod.metadata.namespace}/${name}`)
      if (this.#again.delete(name) && newest) void this.#onPod(newest, undefined)
    }
  }

  async #play(pod: PodObject): Promise<void> {
    const { name } = pod.metadata
    if (pod.metadata.deletionTimestamp) {
      this.#forget(name)
      await this.#api.delete(podOf(pod), 0)
      return
    }
    const relay = this.relays.get(name)
    if (relay) {
      relay.pod = pod
      return
    }
    if (pod.status?.phase === 'Failed') return
    const node = pod.spec?.nodeName ?? (await this.#bind(pod))
    if (!node) return
    await this.#run(pod)
    this.relays.set(name, {
      pod,
      node,
      allocations: 0,
      silent: false,
      directives: [],
      draining: false,
      revocations: 0,
      errors: [],
    })
    this.#report(name)
  }

  async #bind(pod: PodObject): Promise<string | undefined> {
    const cluster = pod.metadata.labels?.[CLUSTER_LABEL]
    const taken = new Set(
      this.#pods.store
        .values()
        .filter(({ metadata }) => metadata.labels?.[CLUSTER_LABEL] === cluster)
        .flatMap(({ spec }) => spec?.nodeName ?? []),
    )
    const node = [...this.#nodes].find((candidate) => !taken.has(candidate) && !this.cordoned.has(candidate))
    if (!node) {
      const unscheduled = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message: 'no node is free',
      }
      await this.#api.merge(podOf(pod), { status: { conditions: [unscheduled] } }, 'status')
      return undefined
    }
    const { name, namespace } = pod.metadata
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace },
      target: { kind: 'Node', name: node },
    }
    await this.#api.client.request({
      method: 'POST',
      path: `${objectPath(podOf(pod))}/binding`,
      body: binding,
    })
    return node
  }

  async #run(pod: PodObject): Promise<void> {
    const condition = (type: string) => ({ type, status: 'True' })
    const status = {
      phase: 'Running',
      conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
      containerStatuses: [
        { name: 'relay', ready: true, restartCount: 0, image: 'x', imageID: 'x', state: { running: {} } },
      ],
    }
    await this.#api.merge(podOf(pod), { status }, 'status')
  }

  #forget(name: string): void {
    this.relays.delete(name)
    this.#mounted.delete(name)
    clearTimeout(this.#timers.get(name))
    this.#timers.delete(name)
  }

  #report(name: string): void {
    const relay = this.relays.get(name)
    if (!relay || this.#stopped) return
    const next = (): void => {
      if (this.relays.get(name) !== relay || this.#stopped) return
      this.#timers.set(
        name,
        setTimeout(() => this.#report(name), REPORT_EVERY_MS),
      )
    }
    this.#send(relay)
      .catch((error: Error) => void relay.errors.push(error.message))
      .finally(next)
  }

  async #send(relay: FakeRelay): Promise<void> {
    if (relay.silent) return
    const { name, namespace = '', uid = '', labels = {} } = relay.pod.metadata
    const cluster = labels[CLUSTER_LABEL] ?? ''
    const { token, relayYaml, ca } = await this.#files(relay.pod, cluster)
    // JSON is what the operator writes; a real relay reads it as YAML.
    const config = relayConfig.parse(JSON.parse(relayYaml))
    const listeners = config.listeners.map(({ protocol, port }) => ({ protocol, port }))
    const report = { ...this.#loadReport(relay, `${namespace}/${cluster}`), listeners }
    const url = `${config.operator?.url}/v1/relays/${uid}/report`
    const { status, text } = await send('POST', url, token, ca, {
      servername: config.operator?.serverName,
      body: report,
    })
    if (status !== 200) throw new Error(`${status} ${text}`)
    const answer = JSON.parse(text) as Directives
    relay.directives.push(answer)
    relay.draining = answer.drain
    relay.revocations = answer.revocations?.generation ?? relay.revocations
    this.#sequence.set(name, report.sequence + 1)
  }

  /** What is mounted into the pod: the last content while the API server is away, as with a real kubelet. */
  async #files(pod: PodObject, cluster: string): Promise<MountedFiles> {
    const { name, namespace } = pod.metadata
    const last = this.#mounted.get(name)
    try {
      const token = last?.token ?? (await this.#token(pod))
      const configMap = await this.#api.find<ConfigMapObject>(
        'v1',
        'ConfigMap',
        namespace,
        `${cluster}-relay`,
      )
      const data = configMap?.data ?? {}
      const files = { token, relayYaml: data['relay.yaml'] ?? '', ca: data['operator-ca.crt'] ?? '' }
      this.#mounted.set(name, files)
      return files
    } catch (error) {
      if (!last) throw error
      return last
    }
  }

  #loadReport(
    { pod, allocations, draining, revocations }: FakeRelay,
    cluster: string,
  ): Omit<LoadReport, 'listeners'> {
    const { name, uid = '', annotations = {}, creationTimestamp = '' } = pod.metadata
    const addresses = JSON.parse(annotations['turnfleet.dev/addresses'] ?? '[]') as { advertise: string }[]
    return {
      uid,
      name,
      cluster,
      version: '0.0.0',
      sequence: this.#sequence.get(name) ?? 0,
      startedAtMs: Date.parse(creationTimestamp),
      state: draining ? (allocations === 0 ? 'drained' : 'draining') : 'serving',
      drainAcknowledged: draining,
      allocations,
      capacity: 100,
      allocationsOpenedTotal: allocations,
      bytesTotal: 0,
      packetsTotal: 0,
      addresses: addresses.map(({ advertise }) => advertise),
      keyIds: ['k'],
      problems: [],
      revocations,
      rssBytes: 50_000_000,
      cpuSecondsTotal: 1,
    }
  }

  /** What the kubelet projects into the pod. */
  async #token({ metadata }: PodObject): Promise<string> {
    const answer = await this.#api.client.request<{ status: { token: string } }>({
      method: 'POST',
      path: `/api/v1/namespaces/${metadata.namespace}/serviceaccounts/default/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: [REPORT_TOKEN_AUDIENCE],
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: metadata.name, uid: metadata.uid },
        },
      },
    })
    return answer.status.token
  }
}

/** One request over TLS that is verified against `ca`, and what came back. */
export function send(
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
  bearer: string,
  ca: string,
  { servername, body }: { servername?: string | undefined; body?: object } = {},
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${bearer}`,
      ...(body ? { 'content-type': 'application/json' } : {}),
    }
    const options = { method, ca, agent: false, headers, ...(servername ? { servername } : {}) } as const
    const outgoing = request(url, options, (response) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    outgoing.on('error', reject)
    outgoing.end(body && JSON.stringify(body))
  })
}

function podOf({ metadata: { name, namespace } }: PodObject): PodObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...(namespace ? { namespace } : {}) } }
}
