import type { TestContext } from 'node:test'
import type { RelayConfig } from '../../../api/config.ts'
import type { ShardEvent } from '../../shard.ts'
import { WorkerShard } from '../worker-shard.ts'
import { WorkerShards } from '../worker-shards.ts'

export const LOOPS = 2

/** Event loops that end with the test, with the threads that they were started as and all that they told. */
export function startShards(t: TestContext, config: RelayConfig) {
  const events: ShardEvent[] = []
  const threads: WorkerShard[] = []
  const waiting = new Set<() => void>()
  const look = () => {
    for (const one of waiting) one()
  }
  const shards = new WorkerShards({
    count: LOOPS,
    config,
    host: {},
    onEvent: (event) => {
      events.push(event)
      look()
    },
    startShard: (options) => {
      const shard = new WorkerShard(options)
      threads.push(shard)
      look()
      return shard
    },
  })
  t.after(() => shards.close('shutdown'))
  shards.start()
  /** Resolves when something holds, which is looked at whenever anything was told. */
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const one = () => {
        if (!holds()) return
        waiting.delete(one)
        resolve()
      }
      waiting.add(one)
      one()
    })
  return { shards, threads, events, until }
}
