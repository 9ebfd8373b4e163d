import { randomBytes, randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { type Logger, pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import type { TurnClusterStatus } from './api/turn-cluster.ts'
import type { Fleet } from './controller/contract.ts'
import { type Reconciler, reconcile } from './controller/reconcile.ts'
import { generateKeyRing } from './credentials/key-ring.ts'
import { createRelayChecker } from './fleet/check-relay.ts'
import { createFleet, type RelayChecker } from './fleet/registry.ts'
import { type App, createApp } from './http/app.ts'
import { createIceIssuer } from './http/ice-issuer.ts'
import { ApiKeySource } from './kube/api-key-source.ts'
import { KubeClient } from './kube/client.ts'
import { type Connection, connect } from './kube/credentials.ts'
import { KubeDriver } from './kube/driver.ts'
import { EventRecorder } from './kube/events.ts'
import { kubernetesAccess } from './kube/kubernetes-access.ts'
import { LeaderElection } from './kube/lease.ts'
import { KubeMetrics } from './kube/metrics.ts'
import { type OperatorOptions, parseOptions, USAGE } from './kube/options.ts'
import { RelayTokens } from './kube/relay-tokens.ts'
import { KubeRevocationStore } from './kube/revocation-store.ts'
import { ServingEndpoint } from './kube/serving-endpoint.ts'
import { World } from './kube/world.ts'
import { systemClock } from './queue/clock.ts'
import { WorkQueue } from './queue/work-queue.ts'

/** The operator over Kubernetes. */

const clock = systemClock
const random = Math.random

export interface OperatorParts {
  connection: Connection
  log: Logger
  /** In place of the real check through a relay's public address. */
  checker?: RelayChecker
  /** Called once when another process has taken the Lease. */
  onLost?: () => void
}

/** One operator process: what it watches, what it decides with, what it serves. */
export class Operator {
  readonly fleet: Fleet
  readonly world: World
  readonly #options: OperatorOptions
  readonly #parts: OperatorParts
  /** Writes only while this process leads. */
  readonly #client: KubeClient
  /** For questions, the Lease and the certificate, which every replica needs. */
  readonly #free: KubeClient
  readonly #namespace: string
  readonly #queue: WorkQueue
  readonly #events: EventRecorder
  readonly #metrics: KubeMetrics
  readonly #registry = new Registry()
  readonly #election: LeaderElection | undefined
  readonly #serving: ServingEndpoint
  readonly #apiKeys: ApiKeySource
  #app: App | undefined
  #driver: KubeDriver | undefined
  #synced = false
  #working = false
  #stopped = false

  constructor(options: OperatorOptions, parts: OperatorParts) {
    this.#options = options
    this.#parts = parts
    const { connection, log } = parts
    this.#namespace = options.namespace ?? connection.namespace ?? 'default'
    const onAnswer = (method: Parameters<KubeMetrics['answered']>[0], _path: string, status: number): void =>
      this.#metrics.answered(method, status)
    this.#free = new KubeClient(connection, { onAnswer })
    this.#client = new KubeClient(connection, { onAnswer, beforeWrite: () => this.#election?.allowWrite() })
    const onError = (error: Error): void => log.warn(error.message)
    this.fleet = createFleet({ checker: parts.checker ?? createRelayChecker() })
    this.world = new World(this.#client, {
      namespaces: options.watchNamespaces,
      apiService: process.env.KUBERNETES_SERVICE_HOST,
      onChange: (key) => this.#queue.add(key),
      onError,
      clock,
      random,
    })
    this.#queue = this.#reconcileQueue()
    this.#metrics = new KubeMetrics(this.#registry, {
      reflectors: () => this.world.counts(),
      queue: () => this.#queue.state(),
      leads: () => this.#working,
      scaling: () => this.#scaling(),
    })
    collectDefaultMetrics({ register: this.#registry, prefix: 'turnfleet_operator_' })
    this.#events = new EventRecorder(this.#client, { instance: hostname(), clock, wallMs: Date.now, onError })
    this.#election = options.leaderElect ? this.#makeElection(onError) : undefined
    this.#serving = new ServingEndpoint(this.#free, {
      ...options,
      namespace: this.#namespace,
      onChange: () => this.#servingChanged(),
      onError,
      clock,
      random,
    })
    this.#apiKeys = new ApiKeySource(this.#free, {
      ...options,
      namespace: this.#namespace,
      onError,
      clock,
      random,
    })
  }

  /** Resolves when it serves HTTPS and works, or waits for the Lease. */
  async start(): Promise<void> {
    const { log } = this.#parts
    await this.#serving.start()
    await this.#apiKeys.start()
    this.#driver = this.#makeDriver()
    this.#app = this.#makeApp()
    await this.#listen(this.#app)
    log.info({ address: this.address(), reports: this.#serving.endpoint().url }, 'serving')
    this.fleet.onChange((key) => this.#queue.add(key))
    await this.world.start()
    this.#synced = true
    log.info('synchronized')
    if (this.#stopped) return
    if (this.#election) this.#election.start()
    else this.#work()
  }

  /** Finishes what it does, gives the Lease back and closes; relays go on. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#working = false
    await this.#queue.stop()
    await this.#events.flush()
    await this.#election?.stop()
    this.#serving.stop()
    this.#apiKeys.stop()
    await this.world.stop()
    await this.#app?.server.close()
    this.#client.close()
    this.#free.close()
  }

  /** Where HTTPS is served. */
  address(): { address: string; port: number } {
    const address = this.#app?.server.server.address()
    if (!address || typeof address === 'string') throw new Error('not serving yet')
    return address
  }

  async #listen({ server }: App): Promise<void> {
    const { host, port } = this.#options
    try {
      await server.listen({ host: host ?? '::', port })
    } catch (error) {
      // A kernel without IPv6.
      if (host || (error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error
      await server.listen({ host: '0.0.0.0', port })
    }
  }

  #work(): void {
    this.#working = true
    this.#parts.log.info('working')
    this.#queue.start()
  }

  #makeElection(onError: (error: Error) => void): LeaderElection {
    return new LeaderElection(this.#free, {
      namespace: this.#namespace,
      name: this.#options.lease,
      identity: `${hostname()}_${randomUUID()}`,
      clock,
      wallMs: Date.now,
      random,
      onAcquired: () => this.#work(),
      onLost: () => {
        this.#working = false
        this.#parts.log.error('the Lease is lost: this process writes nothing any more and ends')
        this.#parts.onLost?.()
      },
      onError,
    })
  }

  #reconcileQueue(): WorkQueue {
    const { log } = this.#parts
    const reconciler: Omit<Reconciler, 'driver'> = {
      fleet: this.fleet,
      now: Date.now,
      startedAtMs: Date.now(),
      memories: new Map(),
      onAction: (cluster, { kind, reason, message }) => {
        this.#metrics.acted(kind, reason)
        if (kind !== 'check-relay') log.info({ cluster, kind, reason }, message)
      },
    }
    return new WorkQueue({
      process: async (key) => {
        const again = await reconcile({ ...reconciler, driver: this.#driver! }, key)
        return again && { requeueAfterMs: again.againInSeconds * 1000 }
      },
      onError: (cluster, error, failures) => {
        this.#metrics.failed()
        log.warn({ cluster, failures }, error.message)
      },
      clock,
      random,
    })
  }

  #makeDriver(): KubeDriver {
    const { relayImage: image, imagePullPolicy, imagePullSecrets, relayServiceAccount } = this.#options
    return new KubeDriver({
      client: this.#client,
      world: this.world,
      fleet: this.fleet,
      events: this.#events,
      endpoint: () => this.#serving.endpoint(),
      podInputs: () => ({
        image,
        imagePullSecrets,
        operatorUrl: this.#serving.endpoint().url,
        ...(imagePullPolicy ? { imagePullPolicy } : {}),
        ...(relayServiceAccount ? { serviceAccountName: relayServiceAccount } : {}),
      }),
      makeKeyRing: () => generateKeyRing((length) => randomBytes(length)),
      clock,
      wallMs: Date.now,
    })
  }

  #makeApp(): App {
    const relayTokens = new RelayTokens(this.#free, {
      hasSynced: (namespace) => this.world.hasSynced(namespace),
      hasRelay: (namespace, uid) => this.world.hasRelay(namespace, uid),
      wallMs: Date.now,
    })
    return createApp({
      fleet: this.fleet,
      issue: createIceIssuer(),
      reviewReportToken: (token) => relayTokens.review(token),
      revocations: new KubeRevocationStore(this.#client, this.world),
      apiKeys: () => this.#apiKeys.keys(),
      kubernetes: kubernetesAccess(this.#free),
      certificate: this.#serving.certificate(),
      extrasOf: (key) => ({ status: this.#statusOf(key) }),
      notReady: () => this.#notReady(),
      registry: this.#registry,
      onError: (error) => this.#parts.log.error(error),
    })
  }

  #statusOf(key: string): TurnClusterStatus | undefined {
    return (this.world.clusters.get(key) as { status?: TurnClusterStatus } | undefined)?.status
  }

  #scaling() {
    return this.world.clusters.keys().flatMap((cluster) => {
      const scaling = this.#statusOf(cluster)?.autoscaling
      return scaling ? [{ cluster, desired: scaling.desired, binding: scaling.binding }] : []
    })
  }

  #notReady(): string[] {
    if (!this.#synced) return ['the first lists of the API server', ...this.world.problems()]
    return this.#working ? [] : ['the Lease: another replica works']
  }

  #servingChanged(): void {
    this.#app?.setCertificate(this.#serving.certificate())
    for (const key of this.world.clusters.keys()) this.#queue.add(key)
  }
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env)
  if (options === 'help') {
    process.stdout.write(USAGE)
    return
  }
  const log = pino({ level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime })
  const operator = new Operator(options, {
    connection: await connect(options.kubeconfig),
    log,
    onLost: () => process.exit(1),
  })
  let signals = 0
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (++signals > 1) process.exit(1)
      log.info({ signal }, 'stopping')
      operator.stop().then(
        () => process.exit(0),
        (error: Error) => {
          log.error(error)
          process.exit(1)
        },
      )
    })
  await operator.start()
}

if (import.meta.main) {
  main().catch((error: Error) => {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  })
}
