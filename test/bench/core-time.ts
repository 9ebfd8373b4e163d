import { readFileSync } from 'node:fs'

/** USER_HZ, which Linux fixes for all that /proc shows. */
const CLOCK_TICKS_PER_SECOND = 100

/** What a core did since it was made: everybody's time on it, that of interrupts and softirqs included. */
export class CoreTime {
  readonly #core: number
  readonly #startedAt = performance.now()
  readonly #idleBefore: number

  constructor(core: number) {
    this.#core = core
    this.#idleBefore = idleSeconds(core)
  }

  get busySeconds(): number {
    const passed = (performance.now() - this.#startedAt) / 1000
    return Math.max(0, passed - (idleSeconds(this.#core) - this.#idleBefore))
  }
}

/** Waiting for a disk is idle too. */
function idleSeconds(core: number): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))
  const [, , , idle = 0, waiting = 0] = (line?.[1] ?? '').split(' ').map(Number)
  return (idle + waiting) / CLOCK_TICKS_PER_SECOND
}
