import type { PublishedRelay } from '../controller/contract.ts'

export interface RelayChoice {
  /** Zone of the client, where it is known: relays in it come first. */
  zone?: string
  /** At most so many relays; one more URL is one more allocation for each client. */
  count: number
}

/** Relays whose load differs by less than this share of their capacity count as equal. */
const EQUAL_SHARE = 0.05

/**
 * The relays for one client: near ones first, then the least loaded; equal ones in random order, so that clients
 * who ask at the same moment do not all get the same one. Full relays come only when there is no other.
 */
export function chooseRelays(
  relays: readonly PublishedRelay[],
  choice: RelayChoice,
  random: () => number,
): PublishedRelay[] {
  const scored = relays.map((relay) => ({
    relay,
    full: relay.allocations >= relay.capacity,
    far: choice.zone !== undefined && relay.zone !== choice.zone,
    load: Math.floor(relay.allocations / Math.max(1, relay.capacity) / EQUAL_SHARE),
    draw: random(),
  }))
  scored.sort(
    (a, b) =>
      Number(a.full) - Number(b.full) || Number(a.far) - Number(b.far) || a.load - b.load || a.draw - b.draw,
  )
  return scored.slice(0, Math.max(0, choice.count)).map(({ relay }) => relay)
}
