import { flushCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { collectGarbage } from '../shard/collect-garbage.ts'

const CACHE_FOLDER = fileURLToPath(new URL('../../node_modules/.cache/turnfleet', import.meta.url))
/**
 * The young part of V8's heap grows with requests in a burst otherwise; see `WorkerShard`. What lives of it is
 * collected in less time than helpers take to wake, for which an event loop would have to wait.
 */
const HEAP_FLAGS = ['--max-semi-space-size=1', '--no-parallel-scavenge']

/**
 * Replaces this process by itself with a compile cache, unless it has one: with the cache Node needs neither
 * its TypeScript parser nor the sources, which saves 30 MB and half of the start. The process id stays.
 * Returns where that cannot be done (another system, a parent that talks over IPC, a cache of its own).
 */
export function startLean(): void {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env
  if (NODE_COMPILE_CACHE || NODE_DISABLE_COMPILE_CACHE || process.channel || !process.execve) return
  // Of two values of one flag the last is in force.
  const args = [process.execPath, ...HEAP_FLAGS, ...process.execArgv, ...process.argv.slice(1)]
  try {
    process.execve(process.execPath, args, { ...process.env, NODE_COMPILE_CACHE: CACHE_FOLDER })
  } catch {
    // It runs on as it is, with more memory.
  }
}

/** To be called once the relay serves: keeps what was compiled for the next start, and lets go of the start's garbage. */
export function settle(): void {
  flushCompileCache()
  collectGarbage()
}
