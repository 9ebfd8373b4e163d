import type { RelayConfig } from '../api/config.ts'
import { type ChosenIo, createIo } from '../io/create-io.ts'
import type { HostAddresses } from '../turn/server-config.ts'
import { defaultWorkers, ownMeans } from './default-workers.ts'
import { LocalShard } from './local-shard.ts'
import type { ShardEvent } from './shard.ts'
import type { Shards } from './shards.ts'

/** What event loops are made of. */
interface ShardsOptions {
  readonly config: RelayConfig
  readonly host: HostAddresses
  readonly onEvent: (event: ShardEvent) => void
}

export interface ChosenShards {
  readonly datapath: ChosenIo['datapath']
  readonly workers: number
  /** What to tell the person who asked for something else. */
  readonly notes: readonly string[]
  /** Throws an Error that says which entry of the configuration cannot be used. */
  create(options: ShardsOptions): Shards
}

/**
 * The data path and the event loops that a configuration asks for; rejects with what to change where this host
 * cannot have them. Several loops need sockets that share a port, which only the batched data path has.
 */
export async function chooseShards(
  config: Pick<RelayConfig, 'datapath' | 'handOver' | 'limits' | 'listeners' | 'workers'>,
): Promise<ChosenShards> {
  const { io, datapath, note } = await createIo(config)
  const wanted = config.workers ?? (datapath === 'batched' ? defaultWorkers(ownMeans()) : 1)
  const workers = io.sharedPorts ? wanted : 1
  const notes = note === undefined ? [] : [note]
  if (workers < wanted && note === undefined)
    notes.push(`the ${datapath} data path has one event loop, not ${wanted}: choose batched for more`)
  const chosen = { datapath, workers, notes }
  if (!io.sharedPorts)
    return { ...chosen, create: (options) => new LocalShard({ ...options, io, unixMs: Date.now }) }
  // Also where there is one: what the main thread has to do besides costs a loop on it a sixth of its rate.
  await io.close()
  const { WorkerShards } = await import('./worker/worker-shards.ts')
  return { ...chosen, create: (options) => new WorkerShards({ ...options, count: workers }) }
}
