import type { LoadReport } from '../api/load-report.ts'

/** How a process ends: cleanly (0), or with calls cut (3), so that a supervisor can tell them apart. */
export const EXIT_CLEAN = 0
export const EXIT_FORCED = 3

/** What decides whether the process goes on. */
export interface LifecycleInput {
  readonly allocations: number
  readonly nowMs: number
  readonly maxDrainMs: number
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

  /** No new allocations. */
  get draining(): boolean {
    return this.#directed || this.terminating
  }

  get terminating(): boolean {
    return this.#terminatingSinceMs !== undefined
  }

  state(allocations: number): LoadReport['state'] {
    if (this.draining) return allocations > 0 ? 'draining' : 'drained'
    return this.#listening ? 'serving' : 'starting'
  }

  /** The exit code when the process is to end now. */
  exitCode({ allocations, nowMs, maxDrainMs }: LifecycleInput): number | undefined {
    if (this.#terminatingSinceMs === undefined) return undefined
    if (allocations === 0) return EXIT_CLEAN
    return this.#forced || nowMs - this.#terminatingSinceMs >= maxDrainMs ? EXIT_FORCED : undefined
  }
}
