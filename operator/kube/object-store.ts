import { type KubeObject, objectKey } from './objects.ts'

/** Objects by key, with an index of the reader's choice. */
export class ObjectStore<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #index = new Map<string, Set<string>>()
  readonly #indexOf: (object: T) => readonly string[]

  constructor(indexOf: (object: T) => readonly string[] = () => []) {
    this.#indexOf = indexOf
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  keys(): string[] {
    return [...this.#objects.keys()]
  }

  values(): T[] {
    return [...this.#objects.values()]
  }

  /** The objects whose index has that word. */
  indexed(word: string): T[] {
    const found: T[] = []
    for (const key of this.#index.get(word) ?? []) {
      const object = this.#objects.get(key)
      if (object) found.push(object)
    }
    return found
  }

  put(object: T): void {
    const key = objectKey(object)
    this.delete(key)
    this.#objects.set(key, object)
    for (const word of this.#indexOf(object)) {
      const keys = this.#index.get(word)
      if (keys) keys.add(key)
      else this.#index.set(word, new Set([key]))
    }
  }

  delete(key: string): T | undefined {
    const object = this.#objects.get(key)
    if (!object) return undefined
    this.#objects.delete(key)
    for (const word of this.#indexOf(object)) {
      const keys = this.#index.get(word)
      keys?.delete(key)
      if (keys?.size === 0) this.#index.delete(word)
    }
    return object
  }
}
