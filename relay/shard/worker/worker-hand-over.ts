import type { HandedListeners } from '../../io/hand-over.ts'
import type { ShardsHandOver } from '../shards.ts'
import type { Setting } from './messages.ts'
import type { WorkerShard } from './worker-shard.ts'

interface WorkerHandOverOptions {
  readonly shards: readonly Pick<WorkerShard, 'ask'>[]
  readonly set: (setting: Setting) => void
  /** The listeners are another relay's. */
  readonly gone: () => void
}

/** Hands over the listeners of all loops, one after the other: each has clients of its own, and stays with them. */
export class WorkerHandOver implements ShardsHandOver {
  readonly #options: WorkerHandOverOptions

  constructor(options: WorkerHandOverOptions) {
    this.#options = options
  }

  async prepare(): Promise<void> {
    for (const shard of this.#options.shards) await shard.ask({ kind: 'hand-over', step: 'prepare' })
  }

  async release(): Promise<HandedListeners> {
    const handed: HandedListeners[] = []
    try {
      for (const shard of this.#options.shards) {
        const result = await shard.ask({ kind: 'hand-over', step: 'release' })
        handed.push(result.handed!)
      }
    } catch (error) {
      this.resume()
      throw error
    }
    return {
      sockets: handed.flatMap(({ sockets }) => sockets),
      cookieSecrets: handed.flatMap(({ cookieSecrets }) => cookieSecrets),
    }
  }

  resume(): void {
    // One that has died is replaced, and its sockets with it.
    for (const shard of this.#options.shards)
      shard.ask({ kind: 'hand-over', step: 'resume' }).catch(() => undefined)
  }

  acceptCookies(secrets: readonly Uint8Array[]): void {
    this.#options.set({ kind: 'cookies', secrets })
  }

  async finish(): Promise<void> {
    this.#options.gone()
    const { shards } = this.#options
    await Promise.allSettled(shards.map((shard) => shard.ask({ kind: 'hand-over', step: 'finish' })))
  }
}
