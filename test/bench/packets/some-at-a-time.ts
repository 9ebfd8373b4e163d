import type { SocketLoop } from './socket-loop.ts'

/** Clients that wait for answers at a time. */
const WAITING_MAX = 48
const RETRY_MS = 200
const TIMEOUT_MS = 120_000

/** A client that has asked for something. */
export interface Asking {
  /** It has all that it asked for. */
  readonly settled: boolean
  /** Sends again what is overdue. */
  retry(now: number): void
}

/** Lets clients ask, some at a time, until each is settled; `next` gives the next one that has begun to ask. */
export function someAtATime(loop: SocketLoop, next: () => Asking | undefined): void {
  const deadline = performance.now() + TIMEOUT_MS
  const asking = new Set<Asking>()
  let retryAt = 0
  let more = true
  do {
    more &&= begin(asking, next)
    loop.turn(1)
    const now = performance.now()
    if (now > deadline) throw new Error(`${asking.size} clients got no answer`)
    if (now > retryAt) {
      for (const one of asking) one.retry(now)
      retryAt = now + RETRY_MS
    }
    for (const one of asking) if (one.settled) asking.delete(one)
  } while (more || asking.size > 0)
}

/** False where all have begun. */
function begin(asking: Set<Asking>, next: () => Asking | undefined): boolean {
  while (asking.size < WAITING_MAX) {
    const one = next()
    if (!one) return false
    asking.add(one)
  }
  return true
}
