import type { Poller } from './poller.ts'

export interface LoopOptions {
  readonly poller: Poller
  /** Handles what is ready: `events` of the poller; returns how many messages came. */
  readonly turn: (events: number, now: number) => number
  /** When the next turn is due although nothing is ready, on the clock of `performance.now`. */
  readonly deadline: () => number
}

/** What turns the batched data path, on a thread that it shares with other things or has to itself. */
export interface Loop {
  start(): void
  /** Resolves when no turn will come any more. */
  stop(): Promise<void>
  /** To be called when something outside a turn has made work for one. */
  wake(): void
  /** To be called when Node has been given something to do in a turn. */
  nodeHasWork(): void
  /** Is a descriptor of the poller Node's own loop? */
  isNode(fd: number): boolean
}
