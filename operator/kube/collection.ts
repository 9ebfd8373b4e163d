import type { KubeClient } from './client.ts'
import { collectionPath, type KubeObject, splitKey } from './objects.ts'
import { Reflector, type ReflectorCounts, type ReflectorOptions } from './reflector.ts'

export interface CollectionOptions<T extends KubeObject> extends Omit<ReflectorOptions<T>, 'path'> {
  apiVersion: string
  kind: string
  /** Empty: all of them. */
  namespaces: readonly string[]
}

/** One kind in some namespaces or in all: a reflector for each list that the operator's rights allow. */
export class Collection<T extends KubeObject> {
  readonly kind: string
  readonly #byNamespace = new Map<string | undefined, Reflector<T>>()

  constructor(client: KubeClient, options: CollectionOptions<T>) {
    this.kind = options.kind
    const namespaces = options.namespaces.length > 0 ? options.namespaces : [undefined]
    for (const namespace of namespaces) {
      const path = collectionPath(options.apiVersion, options.kind, namespace)
      this.#byNamespace.set(namespace, new Reflector<T>(client, { ...options, path }))
    }
  }

  start(): void {
    for (const reflector of this.#byNamespace.values()) reflector.start()
  }

  /** Resolves when every list has come once or was refused. */
  async settled(): Promise<void> {
    await Promise.all([...this.#byNamespace.values()].map((reflector) => reflector.settled))
  }

  hasSynced(namespace: string): boolean {
    return this.#of(namespace)?.hasSynced ?? false
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#byNamespace.values()].map((reflector) => reflector.stop()))
  }

  get(key: string): T | undefined {
    return this.#of(splitKey(key).namespace)?.store.get(key)
  }

  /** The objects of a namespace whose index has that word. */
  indexed(namespace: string, word: string): T[] {
    return this.#of(namespace)?.store.indexed(word) ?? []
  }

  indexedEverywhere(word: string): T[] {
    return [...this.#byNamespace.values()].flatMap((reflector) => reflector.store.indexed(word))
  }

  keys(): string[] {
    return [...this.#byNamespace.values()].flatMap((reflector) => reflector.store.keys())
  }

  learn(object: T): void {
    this.#of(object.metadata.namespace)?.learn(object)
  }

  /** The lists that do not work, with why. */
  problems(): string[] {
    return [...this.#byNamespace.values()].flatMap(({ lastError }) =>
      lastError ? [`${this.kind}: ${lastError}`] : [],
    )
  }

  counts(): ReflectorCounts {
    const total: ReflectorCounts = { lists: 0, watches: 0, events: 0, missed: 0, errors: 0 }
    for (const { counts } of this.#byNamespace.values())
      for (const name of Object.keys(total) as (keyof ReflectorCounts)[]) total[name] += counts[name]
    return total
  }

  #of(namespace: string | undefined): Reflector<T> | undefined {
    return this.#byNamespace.get(namespace) ?? this.#byNamespace.get(undefined)
  }
}
