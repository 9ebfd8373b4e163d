/** From so many messages a second on, a loop lets some gather before it takes them. */
const GATHER_FROM_PER_SECOND = 40_000
/** How many it lets gather. */
const GATHER_MESSAGES = 16
/** The longest that a message waits for others, in milliseconds. */
const GATHER_MAX_MS = 0.1
/** A shorter rest costs more than what it gathers saves. */
const REST_MIN_MS = 0.02
/** Over what time the rate is measured. */
const WINDOW_MS = 10

/**
 * How long a loop rests where it would wait between two turns. A wake-up costs as much as several packets, and what
 * came meanwhile leaves in longer runs; so under load the loop takes fewer and larger turns, as a network card
 * moderates its interrupts. Below the rate from which that pays, nothing waits.
 */
export class Pace {
  #windowStart = 0
  #messages = 0
  /** From the beginning of one turn to that of the next; 0: as messages come. */
  #intervalMs = 0

  /**
   * How long to rest after a turn, in milliseconds.
   * @param messages how many were handled in it
   * @param start when it began
   * @param now when it ended
   */
  restMs(messages: number, start: number, now: number): number {
    this.#messages += messages
    const elapsedMs = now - this.#windowStart
    if (elapsedMs >= WINDOW_MS) {
      this.#intervalMs = intervalMs(this.#messages / elapsedMs)
      this.#windowStart = now
      this.#messages = 0
    }
    if (this.#intervalMs === 0 || messages === 0) return 0
    const rest = this.#intervalMs - (now - start)
    return rest >= REST_MIN_MS ? rest : 0
  }
}

function intervalMs(messagesPerMs: number): number {
  if (messagesPerMs * 1000 < GATHER_FROM_PER_SECOND) return 0
  return Math.min(GATHER_MAX_MS, GATHER_MESSAGES / messagesPerMs)
}
