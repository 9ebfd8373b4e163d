/** Allocations whose end leaves enough behind to be worth a collection. */
const ENDED_MIN = 250
/** Packets in the time between two looks, a second, that no call gets by with. */
const QUIET_PACKETS = 20

/**
 * When a loop collects its garbage: after many allocations have ended, and only while nothing is relayed, since a
 * collection holds the loop up. Under load V8 collects when it needs room, as it does anyhow.
 */
export class CollectionPlan {
  /** The most allocations since the last collection. */
  #most = 0
  #packets = 0

  /** To be called every second, with the allocations there are and the packets there were so far. */
  isDue(allocations: number, packets: number): boolean {
    const quiet = packets - this.#packets <= QUIET_PACKETS
    this.#packets = packets
    this.#most = Math.max(this.#most, allocations)
    if (!quiet || this.#most - allocations < ENDED_MIN) return false
    this.#most = allocations
    return true
  }
}
