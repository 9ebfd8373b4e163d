import { PR_SET_TIMERSLACK } from './constants.ts'
import { prctl, usleep } from './ffi.ts'
import type { Loop, LoopOptions } from './loop.ts'
import type { Memory } from './memory.ts'
import { Pace } from './pace.ts'
import { askForShortSlices } from './scheduling.ts'

/** After so long in a row Node's loop of the thread turns once, for messages and what else it has to do. */
const SLICE_MS = 50
/** The longest wait: how often a thread without traffic shows that it lives. */
const WAIT_MAX_MS = 500
/** How late a rest may end: a tenth of the shortest. */
const TIMER_SLACK_NS = 2000
/** The longest wait while Node's own sockets are in use, which no descriptor of the poller shows. */
const NODE_WAIT_MAX_MS = 1

export interface WorkerLoopOptions extends LoopOptions {
  readonly memory: Memory
  /** Called after each turn, twice a second at least. */
  readonly afterTurn: () => void
  readonly nodeInUse: () => boolean
  /** Hears how long each time was from the end of a wait to the next one, whatever it went into. */
  readonly observe: (milliseconds: number) => void
}

/**
 * Runs batches on a thread that has little else to do: it sits in `epoll_wait` all the time. Who sends the thread
 * a message kicks the poller, which lets Node's loop deliver it.
 */
export class WorkerLoop implements Loop {
  readonly #options: WorkerLoopOptions
  readonly #pace = new Pace()
  #running = false
  #nodeFirst = false
  #wokeAt: number | undefined
  #immediate: NodeJS.Immediate | undefined

  constructor(options: WorkerLoopOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = true
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS)
    askForShortSlices(this.#options.memory)
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
    const { turn, deadline, afterTurn, nodeInUse, observe, poller } = this.#options
    let now = performance.now()
    let wokeAt = this.#wokeAt ?? now
    let restMs = 0
    const end = nodeInUse() ? now : now + SLICE_MS
    const longest = this.#nodeFirst ? 0 : nodeInUse() ? NODE_WAIT_MAX_MS : WAIT_MAX_MS
    this.#nodeFirst = false
    do {
      observe(now - wokeAt)
      const events = this.#wait(Math.max(0, Math.min(longest, deadline() - now)), restMs)
      wokeAt = performance.now()
      const messages = turn(events, wokeAt)
      afterTurn()
      now = performance.now()
      restMs = this.#pace.restMs(messages, wokeAt, now)
    } while (this.#running && !poller.kicked && !this.#nodeFirst && now < end)
    this.#wokeAt = wokeAt
    if (this.#running) this.#soon()
  }

  /** Where nothing has come yet, rests before it waits. */
  #wait(waitMs: number, restMs: number): number {
    const { poller } = this.#options
    if (restMs > 0) {
      const events = poller.wait(0)
      if (events > 0) return events
      usleep(restMs * 1000)
    }
    return poller.wait(Math.ceil(waitMs))
  }
}
