import { isMainThread } from 'node:worker_threads'

/**
 * Loaded into each relay of standalone mode before its own code: when the parent process is gone without a word,
 * the relay drains and ends, since nobody would watch it any more.
 */
if (isMainThread && process.channel) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel.unref()
}
