import type { Clock } from '../queue/clock.ts'
import type { KubeClient } from './client.ts'
import { collectionPath, type KubeObject } from './objects.ts'

const PENDING_MAX = 100
const REMEMBERED_MAX = 2000
const OBJECTS_MAX = 2000
const SAME_EVERY_MS = 600_000
/** Events that one object may cause in a row, and how long until it may cause one more. */
const BURST = 30
const REFILL_MS = 60_000
const NOTE_LENGTH_MAX = 1024

export interface EventToRecord {
  type: 'Normal' | 'Warning'
  /** A CamelCase word. */
  reason: string
  note: string
  /** What was done or tried, a CamelCase word. */
  action: string
}

export interface EventOptions {
  /** Name of this process. */
  instance: string
  clock: Clock
  wallMs: () => number
  onError?: (error: Error) => void
}

/**
 * Writes Events about an object, best effort: the same one at most every ten minutes, few in a row, and none at
 * all while nothing happens.
 */
export class EventRecorder {
  readonly #client: Pick<KubeClient, 'request'>
  readonly #options: EventOptions
  readonly #saidAtMs = new Map<string, number>()
  readonly #budgets = new Map<string, { tokens: number; atMs: number }>()
  readonly #pending = new Set<Promise<void>>()
  #sequence = 0

  constructor(client: Pick<KubeClient, 'request'>, options: EventOptions) {
    this.#client = client
    this.#options = options
  }

  record(about: KubeObject, event: EventToRecord): void {
    const { uid = '' } = about.metadata
    if (this.#pending.size >= PENDING_MAX || this.#wasSaid(`${uid} ${event.reason} ${event.note}`)) return
    if (!this.#takeToken(uid)) return
    const writing = this.#write(about, event)
      .catch((error: Error) => this.#options.onError?.(error))
      .finally(() => this.#pending.delete(writing))
    this.#pending.add(writing)
  }

  /** Resolves when what was recorded is written or given up. */
  async flush(): Promise<void> {
    await Promise.all(this.#pending)
  }

  async #write(about: KubeObject, { type, reason, note, action }: EventToRecord): Promise<void> {
    const { apiVersion, kind, metadata } = about
    const { name, namespace = 'default', uid, resourceVersion } = metadata
    const wallMs = this.#options.wallMs()
    const suffix = `${Math.floor(wallMs).toString(16)}${(this.#sequence++ & 0xffff).toString(16).padStart(4, '0')}`
    await this.#client.request({
      method: 'POST',
      path: collectionPath('events.k8s.io/v1', 'Event', namespace),
      body: {
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name: `${name}.${suffix}`, namespace },
        eventTime: new Date(wallMs).toISOString().replace('Z', '000Z'),
        reportingController: 'turnfleet.dev/operator',
        reportingInstance: this.#options.instance,
        regarding: { apiVersion, kind, name, namespace, uid, resourceVersion },
        type,
        reason,
        action,
        note: note.slice(0, NOTE_LENGTH_MAX),
      },
    })
  }

  #wasSaid(what: string): boolean {
    const nowMs = this.#options.clock.nowMs()
    const atMs = this.#saidAtMs.get(what)
    if (atMs !== undefined && nowMs - atMs < SAME_EVERY_MS) return true
    this.#saidAtMs.delete(what)
    this.#saidAtMs.set(what, nowMs)
    keepNewest(this.#saidAtMs, REMEMBERED_MAX)
    return false
  }

  #takeToken(uid: string): boolean {
    const nowMs = this.#options.clock.nowMs()
    const budget = this.#budgets.get(uid) ?? { tokens: BURST, atMs: nowMs }
    const tokens = Math.min(BURST, budget.tokens + (nowMs - budget.atMs) / REFILL_MS)
    this.#budgets.delete(uid)
    this.#budgets.set(uid, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
    keepNewest(this.#budgets, OBJECTS_MAX)
    return tokens >= 1
  }
}

function keepNewest(map: Map<string, unknown>, sizeMax: number): void {
  for (const key of map.keys()) {
    if (map.size <= sizeMax) return
    map.delete(key)
  }
}
