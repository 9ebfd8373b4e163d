import { type Clock, waitFor } from '../queue/clock.ts'
import { isStatus, type KubeClient } from './client.ts'
import { collectionPath, type KubeObject } from './objects.ts'

const DURATION_MS = 15_000
const RENEW_DEADLINE_MS = 10_000
const RETRY_MS = 2000
const JITTER = 0.2

interface LeaseObject extends KubeObject {
  spec?: {
    holderIdentity?: string
    leaseDurationSeconds?: number
    acquireTime?: string
    renewTime?: string
    leaseTransitions?: number
  }
}

export interface LeaseOptions {
  namespace: string
  name: string
  /** This process, unlike any other. */
  identity: string
  clock: Clock
  /** Wall time, only for what people read in the Lease. */
  wallMs: () => number
  random: () => number
  onAcquired: () => void
  /** Called once; the process must stop writing, and best ends. */
  onLost: () => void
  onError?: (error: Error) => void
  durationMs?: number
  renewDeadlineMs?: number
  retryMs?: number
}

export type LeaseClient = Pick<KubeClient, 'find' | 'request'>

/**
 * Leader election over a Lease. The holder renews it; who has not managed to for the renew deadline stops
 * writing, which is before anybody else may take the Lease. Other processes' clocks are never compared with
 * ours: a Lease has expired when it did not change for its duration by our own monotonic clock.
 */
export class LeaderElection {
  readonly #client: LeaseClient
  readonly #options: Required<Omit<LeaseOptions, 'onError'>> & Pick<LeaseOptions, 'onError'>
  readonly #stop = new AbortController()
  #seen: { record: string; atMs: number } | undefined
  #renewedAtMs: number | undefined
  #running: Promise<void> | undefined

  /** `client` must not be guarded by `allowWrite` itself. */
  constructor(client: LeaseClient, options: LeaseOptions) {
    this.#client = client
    this.#options = {
      durationMs: DURATION_MS,
      renewDeadlineMs: RENEW_DEADLINE_MS,
      retryMs: RETRY_MS,
      ...options,
    }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  isLeader(): boolean {
    return this.#deadlineMs() > this.#options.clock.nowMs()
  }

  /**
   * How long a write that starts now may take, so that it ends before anybody else can hold the Lease; throws
   * where this process does not lead.
   */
  allowWrite(): number {
    if (!this.isLeader()) throw new Error('this process does not hold the Lease: it writes nothing')
    return this.#renewedAtMs! + this.#options.durationMs - this.#options.clock.nowMs()
  }

  /** Gives the Lease back, so that another process need not wait for its end. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    if (!this.isLeader()) return
    this.#renewedAtMs = undefined
    try {
      const lease = await this.#client.find<LeaseObject>(this.#path)
      if (lease?.spec?.holderIdentity === this.#options.identity)
        await this.#write({ ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } })
    } catch (error) {
      this.#options.onError?.(error as Error)
    }
  }

  get #path(): string {
    return `${collectionPath('coordination.k8s.io/v1', 'Lease', this.#options.namespace)}/${this.#options.name}`
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const leads = this.#renewedAtMs !== undefined
      const startedAtMs = this.#options.clock.nowMs()
      const held = await this.#tryToHold().catch((error: Error) => {
        this.#options.onError?.(error)
        return undefined
      })
      if (held) this.#renewedAtMs = startedAtMs
      if (held && !leads) this.#options.onAcquired()
      if (leads && (held === false || !this.isLeader())) return this.#lose()
      await waitFor(this.#options.clock, this.#pauseMs(), signal)
      if (this.#renewedAtMs !== undefined && !this.isLeader() && !signal.aborted) return this.#lose()
    }
  }

  #lose(): void {
    this.#renewedAtMs = undefined
    this.#options.onLost()
  }

  #pauseMs(): number {
    const { retryMs, random, clock } = this.#options
    const pauseMs = retryMs * (1 + JITTER * random())
    return this.#renewedAtMs === undefined
      ? pauseMs
      : Math.max(0, Math.min(pauseMs, this.#deadlineMs() - clock.nowMs()))
  }

  #deadlineMs(): number {
    if (this.#renewedAtMs === undefined) return Number.NEGATIVE_INFINITY
    return this.#renewedAtMs + this.#options.renewDeadlineMs
  }

  /** True: held from now on; false: another process holds it; a throw: not known. */
  async #tryToHold(): Promise<boolean> {
    const { identity } = this.#options
    const lease = await this.#client.find<LeaseObject>(this.#path)
    if (!lease) return this.#attempt(() => this.#create())
    const holder = lease.spec?.holderIdentity
    if (holder && holder !== identity && !this.#hasExpired(lease)) return false
    return this.#attempt(() => this.#write({ ...lease, spec: this.#renewed(lease, holder !== identity) }))
  }

  /** Somebody else was faster: the resourceVersion, or the name, is taken. */
  async #attempt(write: () => Promise<unknown>): Promise<boolean> {
    try {
      await write()
      return true
    } catch (error) {
      if (isStatus(error, 409)) return false
      throw error
    }
  }

  #hasExpired({ spec, metadata }: LeaseObject): boolean {
    const { clock, durationMs } = this.#options
    const record = `${metadata.resourceVersion} ${spec?.holderIdentity} ${spec?.renewTime}`
    if (this.#seen?.record !== record) this.#seen = { record, atMs: clock.nowMs() }
    const ownMs = (spec?.leaseDurationSeconds ?? 0) * 1000
    return clock.nowMs() - this.#seen.atMs >= (ownMs || durationMs)
  }

  #renewed({ spec }: LeaseObject, taken: boolean): NonNullable<LeaseObject['spec']> {
    const now = microTime(this.#options.wallMs())
    return {
      ...spec,
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#options.durationMs / 1000),
      renewTime: now,
      ...(taken ? { acquireTime: now, leaseTransitions: (spec?.leaseTransitions ?? 0) + 1 } : {}),
    }
  }

  #create(): Promise<unknown> {
    const { namespace, name } = this.#options
    const lease: LeaseObject = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace },
    }
    const path = collectionPath('coordination.k8s.io/v1', 'Lease', namespace)
    const body = { ...lease, spec: { ...this.#renewed(lease, true), leaseTransitions: 0 } }
    return this.#client.request({ method: 'POST', path, body, timeoutMs: this.#timeoutMs() })
  }

  /** The whole object as it was read with our fields changed, on the condition that nobody changed it meanwhile. */
  #write(lease: LeaseObject): Promise<unknown> {
    return this.#client.request({
      method: 'PUT',
      path: this.#path,
      body: lease,
      timeoutMs: this.#timeoutMs(),
    })
  }

  #timeoutMs(): number {
    return this.#options.durationMs - this.#options.renewDeadlineMs
  }
}

function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z')
}
