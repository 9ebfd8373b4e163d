import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** What one event loop takes at rest and with a few thousand allocations, beside the process that it is in. */
const LOOP_BYTES = 64 * 2 ** 20
const PROCESS_BYTES = 128 * 2 ** 20

/** What a machine or a container gives to a process. */
export interface Means {
  /** Those that the process may run on. */
  readonly cores: number
  /** Processor time in cores, as a control group limits it; absent: it does not. */
  readonly quota?: number | undefined
  readonly memoryBytes: number
}

/** Event loops where the configuration names no number: one for each core that may be used, as far as memory goes. */
export function defaultWorkers({ cores, quota = cores, memoryBytes }: Means): number {
  const byMemory = Math.floor((memoryBytes - PROCESS_BYTES) / LOOP_BYTES)
  return Math.max(1, Math.min(cores, Math.ceil(quota), byMemory))
}

/** What this process is given. */
export function ownMeans(): Means {
  const cores = allowedCores(textOf('/proc/self/status') ?? '') ?? availableParallelism()
  const [, path] = /^0::(.*)$/m.exec(textOf('/proc/self/cgroup') ?? '') ?? []
  const limit = path === undefined ? undefined : textOf(`/sys/fs/cgroup${path}/cpu.max`)
  return {
    cores,
    quota: limit === undefined ? undefined : quotaOf(limit),
    memoryBytes: process.constrainedMemory() || Number.POSITIVE_INFINITY,
  }
}

/**
 * The number of cores in `Cpus_allowed_list` of /proc/self/status. `availableParallelism` takes the weight of a
 * control group for a limit, and that only says who goes first where there is not enough.
 */
export function allowedCores(status: string): number | undefined {
  const [, list] = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(status) ?? []
  return list?.split(',').reduce((sum, range) => {
    const [first, last = first] = range.split('-').map(Number)
    return sum + Number(last) - Number(first) + 1
  }, 0)
}

/** Cores by the quota and the period of `cpu.max`; undefined: no limit. */
export function quotaOf(limit: string): number | undefined {
  const [quota, period] = limit.trim().split(' ').map(Number)
  return quota && period ? quota / period : undefined
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
