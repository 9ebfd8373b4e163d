import type { Loop, LoopOptions } from './loop.ts'

/** After so long in a row Node's loop of the thread turns once, for messages and what else it has to do. */
const SLICE_MS = 50
/** The longest wait: how often a thread without traffic shows that it lives. */
const WAIT_MAX_MS = 500
/** The longest wait while Node's own sockets are in use, which no descriptor of the poller shows. */
const NODE_WAIT_MAX_MS = 1

export interface WorkerLoopOptions extends LoopOptions {
  /** Called after each turn, twice a second at least. */
  readonly afterTurn: () => void
  readonly nodeInUse: () => boolean
}

/**
 * Runs batches on a thread that has little else to do: it sits in `epoll_wait` all the time. Who sends the thread
 * a message kicks the poller, which lets Node's loop deliver it.
 */
export class WorkerLoop implements Loop {
  readonly #options: WorkerLoopOptions
  #running = false
  #nodeFirst = false
  #immediate: NodeJS.Immediate | undefined

  constructor(options: WorkerLoopOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = true
    this.#soon()
  }

  async stop(): Promise<void> {
    this.#running = false
    clearImmediate(this.#immediate)
  }

  /** Whoever calls it runs in Node's loop of the thread, which ends before the next wait. */
  wake(): void {}

  nodeHasWork(): void {
    this.#nodeFirst = true
  }

  isNode(): boolean {
    return false
  }

  #soon(): void {
    this.#immediate = setImmediate(() => this.#slice())
  }

  #slice(): void {
    const { poller, turn, deadline, afterTurn, nodeInUse } = this.#options
    let now = performance.now()
    const end = nodeInUse() ? now : now + SLICE_MS
    const longest = this.#nodeFirst ? 0 : nodeInUse() ? NODE_WAIT_MAX_MS : WAIT_MAX_MS
    this.#nodeFirst = false
    do {
      const wait = Math.max(0, Math.min(longest, deadline() - now))
      const events = poller.wait(Math.ceil(wait))
      now = performance.now()
      turn(events, now)
      afterTurn()
    } while (this.#running && !poller.kicked && !this.#nodeFirst && now < end)
    if (this.#running) this.#soon()
  }
}
