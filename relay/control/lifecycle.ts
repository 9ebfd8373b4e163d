import type { LoadReport } from '../api/load-report.ts'

/** How a process ends: cleanly (0), or with calls cut (3), so that a supervisor can tell them apart. */
export const EXIT_CLEAN = 0
export const EXIT_FORCED = 3

/** After a hand-over connections without an allocation may still make one for so long. */
const CONNECTIONS_GRACE_MS = 60_000

/** What decides whether the process goes on. */
export interface LifecycleInput {
  readonly allocations: number
  /** Streams and DTLS sessions. */
  readonly connections: number
  readonly nowMs: number
  readonly maxDrainMs: number
  /** An operator ends the process once it carries nothing. */
  readonly supervised: boolean
}

/**
 * Serving, draining and ending. Two things drain a relay: the operator's directive, which may be taken back,
 * and a signal to terminate, which may not and which ends the process when the last allocation is gone.
 */
export class Lifecycle {
  #listening = false
  #directed = false
  #terminatingSinceMs: number | undefined
  #forced = false
  #handedOverAtMs: number | undefined

  /** Every listener is bound. */
  markListening(): void {
    this.#listening = true
  }

  /** The operator's wish. */
  direct(drain: boolean): void {
    this.#directed = drain
  }

  /** SIGTERM or SIGINT: the first one drains, the second one ends. */
  terminate(nowMs: number): void {
    if (this.#terminatingSinceMs === undefined) this.#terminatingSinceMs = nowMs
    else this.#forced = true
  }

  /** Another process has the listeners. */
  handOver(nowMs: number): void {
    this.#handedOverAtMs = nowMs
  }

  /** No new allocations. */
  get draining(): boolean {
    return this.#directed || this.terminating
  }

  get terminating(): boolean {
    return this.#terminatingSinceMs !== undefined
  }

  state(allocations: number): LoadReport['state'] {
    if (this.draining || this.#handedOverAtMs !== undefined) return allocations > 0 ? 'draining' : 'drained'
    return this.#listening ? 'serving' : 'starting'
  }

  /** The exit code when the process is to end now. */
  exitCode(input: LifecycleInput): number | undefined {
    if (this.#terminatingSinceMs === undefined) return this.#exitAfterHandOver(input)
    const { allocations, nowMs, maxDrainMs } = input
    if (allocations === 0) return EXIT_CLEAN
    return this.#forced || nowMs - this.#terminatingSinceMs >= maxDrainMs ? EXIT_FORCED : undefined
  }

  #exitAfterHandOver(input: LifecycleInput): number | undefined {
    const { allocations, connections, nowMs, maxDrainMs, supervised } = input
    if (this.#handedOverAtMs === undefined || supervised) return undefined
    const sinceMs = nowMs - this.#handedOverAtMs
    if (allocations > 0) return sinceMs >= maxDrainMs ? EXIT_FORCED : undefined
    return connections === 0 || sinceMs >= CONNECTIONS_GRACE_MS ? EXIT_CLEAN : undefined
  }
}
