import { Worker } from 'node:worker_threads'
import type { PassedClient } from '../../io/adoption.ts'
import type { BoundListener, ListenerOptions } from '../../io/io.ts'
import { kickPoller } from '../../io/linux/poller.ts'
import type { ShardEvent } from '../shard.ts'
import { noCounts } from './counts.ts'
import { Gauges } from './gauges.ts'
import type { Call, Command, Counts, Opened, Report, Result, ThreadData, ThreadMemory } from './messages.ts'

const THREAD = new URL('./thread.ts', import.meta.url)

/**
 * Of what is young in V8's heap: a sixteenth of the usual size. The packet path allocates nothing, and requests
 * cost no more with it; a thread that has opened thousands of allocations takes tens of megabytes less.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 3 }
/** A thread whose loop does not turn for so long is stuck. */
const STUCK_MS = 5_000
/** Clients that were given to a loop and that it has not looked at. */
const ADOPTING_MAX = 256

export interface WorkerShardOptions {
  readonly data: Omit<ThreadData, 'memory'>
  readonly memory: Omit<ThreadMemory, 'gauges'>
  readonly onEvent: (event: ShardEvent) => void
  /** A client is meant for another loop. */
  readonly onPass: (loop: number, client: PassedClient) => void
  /** The thread has ended, and nobody told it to. */
  readonly onDeath: (error: Error) => void
}

/** One shard on a thread of its own, as the control side holds it. */
export class WorkerShard {
  readonly gauges = new Gauges()
  /** Resolves when it can be told something; rejects when it ends before. */
  readonly started: Promise<void>
  /** As of the last answer to `count`. */
  counts: Counts = noCounts()
  readonly #options: WorkerShardOptions
  readonly #worker: Worker
  readonly #calls = new Map<number, { resolve: (result: Result) => void; reject: (error: Error) => void }>()
  /** The allocations that live, while somebody watches them: their end is told if the thread dies. */
  readonly #open = new Map<number, Opened>()
  #lastCall = 0
  #adopting = 0
  #kickFd = -1
  #ending = false
  #turns = 0
  #turnedAt = performance.now()
  #error: Error | undefined
  #dead: Error | undefined

  constructor(options: WorkerShardOptions) {
    this.#options = options
    const memory = { ...options.memory, gauges: this.gauges.memory }
    this.#worker = new Worker(THREAD, {
      workerData: { ...options.data, memory } satisfies ThreadData,
      resourceLimits: RESOURCE_LIMITS,
    })
    this.started = new Promise((resolve, reject) => {
      this.#worker.on('message', (report: Report) => {
        if (report.kind === 'started') {
          this.#kickFd = report.kickFd
          resolve()
        } else this.#hear(report)
      })
      this.#worker.on('error', (error) => {
        this.#error = error as Error
      })
      this.#worker.on('exit', () => {
        const error = this.#error ?? new Error('the thread of an event loop ended')
        reject(error)
        this.#ended(error)
      })
    })
    // Whoever waits for it hears of it; nobody has to.
    this.started.catch(() => undefined)
  }

  /** What is wrong with it, in words for a person; to be asked every few seconds. */
  problem(now: number): string | undefined {
    const turns = this.gauges.get('turns')
    if (turns !== this.#turns) {
      this.#turns = turns
      this.#turnedAt = now
    }
    if (now - this.#turnedAt < STUCK_MS) return undefined
    const seconds = Math.round((now - this.#turnedAt) / 1000)
    return `event loop ${this.#options.data.shard} has not turned for ${seconds} seconds: its clients are not served`
  }

  /** Gives it a client that came to another loop; false where it has too many of those to look at already. */
  adopt(client: PassedClient): boolean {
    if (this.#dead || this.#adopting >= ADOPTING_MAX) return false
    this.#adopting++
    this.tell({ kind: 'adopt', client })
    return true
  }

  tell(command: Command): void {
    this.#worker.postMessage(command)
    if (this.#kickFd >= 0) kickPoller(this.#kickFd)
  }

  /** As `Shards.listen`. */
  async listen(options: ListenerOptions): Promise<BoundListener> {
    const { listener } = await this.ask({ kind: 'listen', options })
    return listener!
  }

  /** Rejects with what went wrong, or when the thread ends before it has answered. */
  ask(command: Call): Promise<Result> {
    if (command.kind === 'close') this.#ending = true
    if (this.#dead) return this.#ending ? Promise.resolve({}) : Promise.reject(this.#dead)
    const call = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject })
      this.tell({ ...command, call })
    })
  }

  /** Ends the thread, whatever it is at. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #hear(report: Exclude<Report, { kind: 'started' }>): void {
    if (report.kind === 'adopted') this.#adopting--
    else if (report.kind === 'pass') this.#options.onPass(report.loop, report.client)
    else if (report.kind === 'counts') this.counts = report.counts
    else if (report.kind === 'live') this.#restart(report.opened)
    else if (report.kind === 'events') for (const event of report.events) this.#pass(event)
    else {
      const call = this.#calls.get(report.call)
      this.#calls.delete(report.call)
      if (report.kind === 'done') call?.resolve(report)
      else call?.reject(new Error(report.message))
    }
  }

  #restart(opened: readonly Opened[]): void {
    this.#open.clear()
    for (const one of opened) this.#open.set(one.allocation.allocation, one)
  }

  #pass(event: ShardEvent): void {
    if (event.kind === 'allocation-opened') this.#open.set(event.allocation.allocation, event)
    if (event.kind === 'allocation-closed') this.#open.delete(event.allocation.allocation)
    this.#options.onEvent(event)
  }

  #ended(error: Error): void {
    this.#dead = error
    for (const { resolve, reject } of this.#calls.values()) {
      if (this.#ending) resolve({})
      else reject(error)
    }
    this.#calls.clear()
    this.gauges.clear()
    if (this.#ending) return
    for (const opened of this.#open.values()) this.#options.onEvent(lost(opened))
    this.#options.onDeath(error)
  }
}

/** What an allocation carried died with its thread. */
function lost({ at, allocation }: Opened): ShardEvent {
  return {
    kind: 'allocation-closed',
    at: performance.now(),
    allocation,
    reason: 'relay-failed',
    durationMs: performance.now() - at,
    clientBytes: 0,
    clientPackets: 0,
    peerBytes: 0,
    peerPackets: 0,
  }
}
