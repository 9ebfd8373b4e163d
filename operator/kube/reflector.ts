import { backoffMs, type Clock, waitFor } from '../queue/clock.ts'
import { isStatus, type KubeClient, KubeError, type Query } from './client.ts'
import { ObjectStore } from './object-store.ts'
import { type KubeObject, type ListOf, objectKey } from './objects.ts'

const PAGE_SIZE = 500
const PAGES_MAX = 1000
const BACKOFF_FIRST_MS = 200
const BACKOFF_MAX_MS = 30_000
/** The API server sends a bookmark about once a minute. */
const IDLE_MS = 100_000
/** A watch that ends sooner and brings nothing counts as failed. */
const BRIEF_MS = 1000
const WATCH_SECONDS = 300
/** A list now and then finds what a watch lost. */
const RELIST_MS = 600_000

export interface ReflectorOptions<T extends KubeObject> {
  /** Collection to mirror, such as `/api/v1/pods`. */
  path: string
  labelSelector?: string
  indexOf?: (object: T) => readonly string[]
  /** Keeps less of each object than the API server sends, where memory counts. */
  trim?: (object: T) => T
  /** Called after the store has changed; must only enqueue. `after` is undefined when the object is gone. */
  onChange: (after: T | undefined, before: T | undefined) => void
  onError?: (error: Error) => void
  clock: Clock
  random: () => number
  relistMs?: number
  idleMs?: number
}

/** Counts for metrics; `missed` are changes that a relist found and the watch should have brought. */
export interface ReflectorCounts {
  lists: number
  watches: number
  events: number
  missed: number
  errors: number
}

interface WatchEvent<T> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  object: T
}

/**
 * Mirrors one collection: lists it in pages, watches from there with bookmarks, resumes where a watch ended,
 * lists again when the server has forgotten that point, and backs off when nothing works. It never stops by
 * itself.
 */
export class Reflector<T extends KubeObject> {
  readonly store: ObjectStore<T>
  readonly counts: ReflectorCounts = { lists: 0, watches: 0, events: 0, missed: 0, errors: 0 }
  /** Resolves after the first complete list. */
  readonly synced: Promise<void>
  /** Resolves with that, or when the API server has refused the first list: it may be long until it is allowed. */
  readonly settled: Promise<void>
  readonly #client: KubeClient
  readonly #options: ReflectorOptions<T>
  readonly #stop = new AbortController()
  readonly #firstList = Promise.withResolvers<void>()
  readonly #firstRefusal = Promise.withResolvers<void>()
  #hasSynced = false
  #resourceVersion: string | undefined
  #listedAtMs = 0
  #failures = 0
  #lastError: string | undefined
  #running: Promise<void> | undefined

  constructor(client: KubeClient, options: ReflectorOptions<T>) {
    this.#client = client
    this.#options = options
    this.store = new ObjectStore(options.indexOf)
    this.synced = this.#firstList.promise
    this.settled = Promise.race([this.synced, this.#firstRefusal.promise])
  }

  get hasSynced(): boolean {
    return this.#hasSynced
  }

  /** What went wrong since the last success, for readiness and logs. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** Takes in the answer of a write of our own, so that the next reader sees it; what the watch has passed is ignored. */
  learn(object: T): void {
    if (!isAtMost(object, this.#resourceVersion)) this.#accept(object)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        if (this.#listIsDue()) await this.#list()
        await this.#watch()
        if (!signal.aborted) this.#succeed()
      } catch (error) {
        await this.#recover(error as Error)
      }
    }
  }

  #listIsDue(): boolean {
    if (this.#resourceVersion === undefined) return true
    return this.#options.clock.nowMs() - this.#listedAtMs >= (this.#options.relistMs ?? RELIST_MS)
  }

  async #recover(error: Error): Promise<void> {
    if (this.#stop.signal.aborted) return
    if (isStatus(error, 401, 403, 404)) this.#firstRefusal.resolve()
    this.counts.errors += 1
    this.#lastError = error.message
    if (isExpired(error)) {
      this.#resourceVersion = undefined
      if (this.#failures++ === 0) return
    } else {
      this.#failures += 1
      this.#options.onError?.(error)
    }
    const asked = error instanceof KubeError ? (error.retryAfterSeconds ?? 0) * 1000 : 0
    const delayMs = backoffMs(this.#failures - 1, BACKOFF_FIRST_MS, BACKOFF_MAX_MS, this.#options.random)
    await waitFor(this.#options.clock, Math.max(asked, delayMs), this.#stop.signal)
  }

  #succeed(): void {
    this.#failures = 0
    this.#lastError = undefined
  }

  async #list(): Promise<void> {
    const seen = new Map<string, T>()
    let next: string | undefined
    let resourceVersion: string | undefined
    for (let page = 0; page < PAGES_MAX; page++) {
      const list = await this.#client.get<ListOf<T>>(this.#options.path, {
        ...this.#selector(),
        limit: PAGE_SIZE,
        continue: next,
      })
      for (const object of list.items) seen.set(objectKey(object), object)
      resourceVersion = list.metadata.resourceVersion
      next = list.metadata.continue || undefined
      if (!next) break
    }
    if (next || !resourceVersion) throw new Error(`the list of ${this.#options.path} does not end`)
    this.counts.lists += 1
    this.#replace(seen, resourceVersion)
    this.#resourceVersion = resourceVersion
    this.#listedAtMs = this.#options.clock.nowMs()
    this.#hasSynced = true
    this.#firstList.resolve()
  }

  #replace(seen: ReadonlyMap<string, T>, resourceVersion: string): void {
    for (const object of this.store.values()) {
      const key = objectKey(object)
      if (seen.has(key) || !isAtMost(object, resourceVersion)) continue
      this.counts.missed += 1
      this.#remove(key)
    }
    for (const object of seen.values())
      if (this.#accept(object) && isAtMost(object, this.#resourceVersion)) this.counts.missed += 1
  }

  async #watch(): Promise<void> {
    const { path, random, idleMs = IDLE_MS } = this.#options
    this.counts.watches += 1
    const query: Query = {
      ...this.#selector(),
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion: this.#resourceVersion,
      timeoutSeconds: Math.ceil(WATCH_SECONDS * (1 + random())),
    }
    const startedAtMs = this.#options.clock.nowMs()
    const eventsBefore = this.counts.events
    let refused: Error | undefined
    const abort = new AbortController()
    const onLine = (line: string): void => {
      if (refused) return
      try {
        this.#take(JSON.parse(line) as WatchEvent<T>)
      } catch (error) {
        refused = error as Error
        abort.abort()
      }
    }
    await this.#client.stream(path, query, idleMs, onLine, AbortSignal.any([this.#stop.signal, abort.signal]))
    if (refused) throw refused
    if (this.counts.events === eventsBefore && this.#options.clock.nowMs() - startedAtMs < BRIEF_MS)
      throw new Error(`the watch of ${path} ended at once`)
  }

  #take({ type, object }: WatchEvent<T>): void {
    if (type === 'ERROR') {
      const {
        code = 500,
        reason = '',
        message = 'the watch was ended by the API server',
      } = object as {
        code?: number
        reason?: string
        message?: string
      }
      throw new KubeError(code, reason, message)
    }
    this.#succeed()
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion
    if (type === 'BOOKMARK') return
    this.counts.events += 1
    if (type !== 'DELETED') this.#accept(object)
    else if (!this.#isNewerKept(object)) this.#remove(objectKey(object))
  }

  /** False where what is kept is as new. */
  #accept(object: T): boolean {
    const before = this.store.get(objectKey(object))
    if (before && !isNewer(object, before)) return false
    this.#put(object)
    return true
  }

  /** A newer object of the same name was learned before the deletion of the old one arrived. */
  #isNewerKept(deleted: T): boolean {
    const kept = this.store.get(objectKey(deleted))
    return kept !== undefined && kept.metadata.uid !== deleted.metadata.uid && isNewer(kept, deleted)
  }

  #put(object: T): void {
    const kept = this.#options.trim?.(object) ?? object
    const before = this.store.get(objectKey(kept))
    this.store.put(kept)
    this.#options.onChange(kept, before)
  }

  #remove(key: string): void {
    const before = this.store.delete(key)
    if (before) this.#options.onChange(undefined, before)
  }

  #selector(): Query {
    return { labelSelector: this.#options.labelSelector }
  }
}

function isExpired(error: Error): boolean {
  return isStatus(error, 410) || (error instanceof KubeError && error.reason === 'Expired')
}

/** Resource versions of one collection are numbers that grow (KEP-5504). */
function isNewer(object: KubeObject, than: KubeObject): boolean {
  return versionOf(object.metadata.resourceVersion) > versionOf(than.metadata.resourceVersion)
}

function isAtMost(object: KubeObject, resourceVersion: string | undefined): boolean {
  return (
    resourceVersion !== undefined && versionOf(object.metadata.resourceVersion) <= versionOf(resourceVersion)
  )
}

function versionOf(resourceVersion: string | undefined): bigint {
  return /^\d+$/.test(resourceVersion ?? '') ? BigInt(resourceVersion!) : 0n
}
