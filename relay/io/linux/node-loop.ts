import { isMainThread } from 'node:worker_threads'
import { nodeLoopFd } from './ffi.ts'
import type { Loop, LoopOptions } from './loop.ts'

/** How long Node's own loop may be kept from its timers. */
const SLICE_MS = 4
/** After so long without a datagram the wait moves to a thread of its own, and Node's loop runs undisturbed. */
const BUSY_MS = 25
/** A wait aside ends now and then, so that a process that ends without closing is not held up by it. */
const ASIDE_MAX_MS = 250

/**
 * Runs batches inside Node's main loop. Under load the thread sits in `epoll_wait` for slices of a few
 * milliseconds, with Node's own descriptors in the same set: whatever Node has to do ends a slice at once, so
 * streams, HTTP and files go on beside it.
 */
export class NodeLoop implements Loop {
  readonly #options: LoopOptions
  readonly #nodeFd: number
  #nodeWatched = false
  #stopped: (() => void) | undefined
  #running = false
  #immediate: NodeJS.Immediate | undefined
  /** Node's loop has to turn once before the thread may sleep: it has work that no descriptor shows yet. */
  #nodeFirst = false
  #busyAt = Number.NEGATIVE_INFINITY

  constructor(options: LoopOptions) {
    if (!isMainThread) throw new Error('the loop of another thread cannot be found: use WorkerLoop')
    this.#options = options
    this.#nodeFd = nodeLoopFd()
  }

  start(): void {
    this.#running = true
    this.#rest()
  }

  wake(): void {
    if (this.#options.poller.waitingAside) this.#options.poller.kick()
  }

  nodeHasWork(): void {
    this.#nodeFirst = true
  }

  stop(): Promise<void> {
    if (!this.#running) return Promise.resolve()
    this.#running = false
    clearImmediate(this.#immediate)
    this.#watchNode(false)
    if (!this.#options.poller.waitingAside) return Promise.resolve()
    this.wake()
    return new Promise((resolve) => {
      this.#stopped = resolve
    })
  }

  #soon(): void {
    this.#immediate = setImmediate(() => this.#slice())
  }

  #slice(): void {
    const { poller, turn } = this.#options
    let now = performance.now()
    const end = this.#nodeFirst ? now : now + SLICE_MS
    this.#nodeFirst = false
    do {
      const events = poller.wait(this.#timeoutMs(now, end - now))
      now = performance.now()
      if (turn(events, now) > 0) this.#busyAt = now
      if (!this.#running) return
    } while (!this.#nodeFirst && now < end)
    if (now - this.#busyAt < BUSY_MS) this.#soon()
    else this.#rest()
  }

  #rest(): void {
    const { poller, turn } = this.#options
    this.#watchNode(false)
    const timeout = this.#timeoutMs(performance.now(), ASIDE_MAX_MS)
    poller.waitAside(timeout, (events) => {
      if (!this.#running) {
        this.#stopped?.()
        return
      }
      const now = performance.now()
      const busy = turn(events, now) > 0
      if (!this.#running) return
      if (!busy) {
        this.#rest()
        return
      }
      this.#busyAt = now
      this.#watchNode(true)
      this.#nodeFirst = true
      this.#soon()
    })
  }

  #timeoutMs(now: number, most: number): number {
    return Math.ceil(Math.max(0, Math.min(most, this.#options.deadline() - now)))
  }

  #watchNode(watch: boolean): void {
    if (watch === this.#nodeWatched) return
    this.#nodeWatched = watch
    if (watch) this.#options.poller.add(this.#nodeFd)
    else this.#options.poller.remove(this.#nodeFd)
  }

  isNode(fd: number): boolean {
    return fd === this.#nodeFd
  }
}
