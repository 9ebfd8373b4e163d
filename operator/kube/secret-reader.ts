import { backoffMs, type Clock } from '../queue/clock.ts'
import type { KubeClient } from './client.ts'
import { collectionPath, type SecretObject } from './objects.ts'

const POLL_MS = 20_000
const POLL_BACKOFF_MAX_MS = 300_000
const SECRETS_MAX = 10_000

interface Watched {
  namespace: string
  name: string
  readers: Set<string>
  /** Undefined: never read; null: there is none. */
  secret: SecretObject | null | undefined
  reading: Promise<Error | undefined> | undefined
  failures: number
  cancel: () => void
}

export interface SecretReaderOptions {
  /** Called with each reader's name when a Secret that it reads has changed. */
  onChange: (reader: string) => void
  onError?: (error: Error) => void
  clock: Clock
  random: () => number
  pollMs?: number
}

/**
 * Reads Secrets by name only, so that the operator needs no right to list or watch any, and looks again now and
 * then: a change is noticed within half a minute.
 */
export class SecretReader {
  readonly #client: Pick<KubeClient, 'find'>
  readonly #options: Required<Omit<SecretReaderOptions, 'onError'>> & Pick<SecretReaderOptions, 'onError'>
  readonly #watched = new Map<string, Watched>()
  #stopped = false

  constructor(client: Pick<KubeClient, 'find'>, options: SecretReaderOptions) {
    this.#client = client
    this.#options = { pollMs: POLL_MS, ...options }
  }

  /** The Secret as it was last read; reads it where it never was. Throws where it cannot be read. */
  async read(reader: string, namespace: string, name: string): Promise<SecretObject | undefined> {
    const watched = this.#watch(reader, namespace, name)
    if (watched.secret === undefined) await this.#refresh(watched, true)
    return watched.secret ?? undefined
  }

  /** Takes in what was just written. */
  learn(secret: SecretObject): void {
    const watched = this.#watched.get(`${secret.metadata.namespace}/${secret.metadata.name}`)
    if (watched) watched.secret = secret
  }

  /** Reads what this reader reads once more, now. */
  async refresh(reader: string): Promise<void> {
    const own = [...this.#watched.values()].filter(({ readers }) => readers.has(reader))
    await Promise.all(own.map((watched) => this.#refresh(watched, false)))
  }

  /** The reader reads these and no others any more. */
  keepOnly(reader: string, namespace: string, names: readonly string[]): void {
    for (const [key, watched] of this.#watched) {
      if (watched.namespace === namespace && names.includes(watched.name)) continue
      if (!watched.readers.delete(reader) || watched.readers.size > 0) continue
      watched.cancel()
      this.#watched.delete(key)
    }
  }

  stop(): void {
    this.#stopped = true
    for (const { cancel } of this.#watched.values()) cancel()
    this.#watched.clear()
  }

  #watch(reader: string, namespace: string, name: string): Watched {
    const key = `${namespace}/${name}`
    let watched = this.#watched.get(key)
    if (!watched) {
      if (this.#watched.size >= SECRETS_MAX) throw new Error(`more than ${SECRETS_MAX} Secrets are in use`)
      watched = {
        namespace,
        name,
        readers: new Set(),
        secret: undefined,
        reading: undefined,
        failures: 0,
        cancel: () => {},
      }
      this.#watched.set(key, watched)
    }
    watched.readers.add(reader)
    return watched
  }

  /** One read at a time; those who come meanwhile wait for it. */
  async #refresh(watched: Watched, mustSucceed: boolean): Promise<void> {
    watched.reading ??= this.#readAndPlan(watched)
    const error = await watched.reading
    if (error && mustSucceed) throw error
  }

  async #readAndPlan(watched: Watched): Promise<Error | undefined> {
    try {
      await this.#readOnce(watched)
      watched.failures = 0
      return undefined
    } catch (error) {
      watched.failures += 1
      this.#options.onError?.(error as Error)
      return error as Error
    } finally {
      watched.reading = undefined
      this.#planNext(watched)
    }
  }

  async #readOnce(watched: Watched): Promise<void> {
    const { namespace, name, secret: before } = watched
    const path = `${collectionPath('v1', 'Secret', namespace)}/${encodeURIComponent(name)}`
    watched.secret = (await this.#client.find<SecretObject>(path)) ?? null
    if (before === undefined || versionOf(before) === versionOf(watched.secret)) return
    for (const reader of watched.readers) this.#options.onChange(reader)
  }

  #planNext(watched: Watched): void {
    watched.cancel()
    if (this.#stopped || watched.readers.size === 0) return
    const { clock, pollMs, random } = this.#options
    const delayMs =
      watched.failures > 0
        ? backoffMs(watched.failures, pollMs, POLL_BACKOFF_MAX_MS, random)
        : pollMs * (0.9 + 0.2 * random())
    watched.cancel = clock.after(delayMs, () => void this.#refresh(watched, false))
  }
}

function versionOf(secret: SecretObject | null): string {
  return secret ? `${secret.metadata.uid}/${secret.metadata.resourceVersion}` : ''
}
