import { collectDefaultMetrics, Registry } from 'prom-client'
import packageFile from '../package.json' with { type: 'json' }
import type { Action, Fleet } from './controller/contract.ts'
import { type Reconciler, reconcile } from './controller/reconcile.ts'
import { createRelayChecker } from './fleet/check-relay.ts'
import { createFleet } from './fleet/registry.ts'
import type { ApiKey } from './http/api-keys.ts'
import { type App, createApp } from './http/app.ts'
import { viewCluster } from './http/cluster-view.ts'
import { createIceIssuer } from './http/ice-issuer.ts'
import { ClusterWatch } from './local/cluster-watch.ts'
import { greeting } from './local/greeting.ts'
import { thisMachine } from './local/host-address.ts'
import { LocalDriver } from './local/local-driver.ts'
import type { StandaloneOptions } from './local/options.ts'
import { RevocationFiles } from './local/revocation-files.ts'
import type { StateDirectory } from './local/state-directory.ts'
import { systemClock } from './queue/clock.ts'
import { WorkQueue } from './queue/work-queue.ts'

/** How long the greeting waits for the rest of the fleet after its first relay. */
const GREETING_PATIENCE_MS = 1500
const DRAIN_NEWS_MS = 10_000
/** One Ctrl-C arrives twice under npm: from the terminal, and passed on by npm. */
const SAME_KEYPRESS_MS = 500
/** Steps that the person at the terminal hears of. */
const TOLD: ReadonlySet<Action['kind']> = new Set(['create-relay', 'drain', 'undrain', 'delete-relay'])

const issue = createIceIssuer()

/** The operator over local processes: the same reconcile loop, with child processes in place of pods. */
export class LocalOperator {
  readonly #options: StandaloneOptions
  readonly #port: number
  readonly #url: string
  readonly #fleet: Fleet
  readonly #driver: LocalDriver
  readonly #app: App
  readonly #queue: WorkQueue
  readonly #watch: ClusterWatch
  #firstReadyMs: number | undefined
  #greeted = false
  #stoppedAtMs: number | undefined
  readonly #stopping = Promise.withResolvers<void>()

  constructor(options: StandaloneOptions, state: StateDirectory, port: number, apiKeys: readonly ApiKey[]) {
    this.#options = options
    this.#port = port
    this.#url = `http://${urlHost(options.host)}:${port}`
    this.#fleet = createFleet({ checker: createRelayChecker(), reportIntervalSeconds: 1 })
    this.#driver = new LocalDriver({
      state,
      fleet: this.#fleet,
      operatorUrl: () => this.#url,
      node: () => thisMachine(options.addresses),
      version: packageFile.version,
      nowMs: Date.now,
      onChange: (key) => this.#queue.add(key),
      say,
    })
    this.#app = createApp({
      fleet: this.#fleet,
      issue,
      trustLoopback: true,
      apiKeys: () => apiKeys,
      reviewReportToken: (token) => this.#driver.reviewReportToken(token),
      revocations: new RevocationFiles(state),
      extrasOf: (key) => ({
        status: this.#driver.statusOf(key),
        certificateHint: this.#driver.certificateHint(key),
      }),
      registry: processMetrics(),
      onError: (error) => say(`the console could not answer: ${messageOf(error)}`),
    })
    this.#queue = this.#reconcileQueue()
    this.#watch = new ClusterWatch({
      files: options.files,
      onSet: (cluster) => this.#driver.setCluster(cluster),
      onRemove: (key) => this.#driver.removeCluster(key),
      onProblem: say,
    })
  }

  /** Serves until a signal asks to stop, and until the relays are gone. */
  async run(): Promise<void> {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#stop())
    this.#fleet.onChange((key) => this.#queue.add(key))
    await this.#watch.start()
    await this.#app.server.listen({ host: this.#options.host, port: this.#port })
    this.#queue.start()
    await this.#stopping.promise
    this.#watch.stop()
    await this.#queue.stop()
    await this.#drain()
    await this.#app.server.close()
  }

  #reconcileQueue(): WorkQueue {
    const reconciler: Reconciler = {
      driver: this.#driver,
      fleet: this.#fleet,
      now: Date.now,
      startedAtMs: Date.now(),
      memories: new Map(),
      onAction: (_key, action) => {
        if (TOLD.has(action.kind)) say(action.message)
      },
    }
    return new WorkQueue({
      clock: systemClock,
      random: Math.random,
      // One at a time: relays of all clusters share the ports of this machine.
      concurrency: 1,
      process: async (key) => {
        const result = await reconcile(reconciler, key)
        this.#greetWhenReady()
        return result && { requeueAfterMs: result.againInSeconds * 1000 }
      },
      onError: (_key, error, failures) => {
        if (failures === 1 || failures % 10 === 0) say(error.message)
      },
    })
  }

  /** Greets once: when every relay is ready, or a moment after the first one. */
  #greetWhenReady(): void {
    const keys = this.#fleet.publishedKeys()
    const ready = keys.reduce((sum, key) => sum + (this.#fleet.published(key)?.relays.length ?? 0), 0)
    if (this.#greeted || ready === 0) return
    if (this.#firstReadyMs === undefined) {
      this.#firstReadyMs = performance.now()
      setTimeout(() => this.#greetWhenReady(), GREETING_PATIENCE_MS).unref()
    }
    const wanted = keys.reduce((sum, key) => sum + (this.#driver.statusOf(key)?.autoscaling?.desired ?? 1), 0)
    if (ready < wanted && performance.now() - this.#firstReadyMs < GREETING_PATIENCE_MS) return
    this.#greeted = true
    const clusters = keys
      .map((key) => viewCluster(this.#fleet, key, Date.now()))
      .filter((view) => view !== undefined)
    const [first] = keys
      .map((key) => this.#fleet.published(key))
      .filter((cluster) => cluster !== undefined && cluster.relays.length > 0)
    const issued = first && issue(first, { user: 'you' }, Date.now())
    if (!issued) return
    const { iceServers, ttlSeconds } = issued
    const firstAllocationSeconds = this.#firstReadyMs / 1000
    process.stdout.write(
      greeting({ url: this.#url, clusters, iceServers, ttlSeconds, firstAllocationSeconds }),
    )
  }

  #stop(): void {
    if (this.#stoppedAtMs === undefined) {
      this.#stoppedAtMs = performance.now()
      this.#stopping.resolve()
      return
    }
    if (performance.now() - this.#stoppedAtMs < SAME_KEYPRESS_MS) return
    if (process.exitCode !== 1) say('ending the calls that are left')
    process.exitCode = 1
    void this.#driver.endAll()
  }

  /** Clients get no credentials any more; the calls that run end by themselves. */
  async #drain(): Promise<void> {
    for (const key of this.#fleet.publishedKeys()) {
      const cluster = this.#fleet.published(key)
      if (cluster) this.#fleet.publish({ ...cluster, relays: [] })
    }
    const news = setInterval(() => this.#tellDrain(), DRAIN_NEWS_MS)
    say('stopping: the relays drain, and end with their last call; Ctrl-C again ends them now')
    await this.#driver.drainAll()
    clearInterval(news)
  }

  #tellDrain(): void {
    const loads = this.#driver.keys().flatMap((key) => [...this.#fleet.loads(key).values()])
    const left = loads.reduce((sum, { report }) => sum + report.allocations, 0)
    say(`draining: ${left} allocations are left`)
  }
}

/** Where this machine reaches a server that listens at `host`. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

function say(message: string): void {
  process.stdout.write(`${message}\n`)
}

function processMetrics(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'turnfleet_operator_' })
  return registry
}

function messageOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
