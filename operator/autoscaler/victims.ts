/** A relay as a candidate to go. */
export interface Candidate {
  name: string
  nodeLeaving: boolean
  current: boolean
  ready: boolean
  zone?: string
  /** Undefined: unknown, which counts as more than any number. */
  allocations: number | undefined
  createdAtMs: number
}

/**
 * The candidates in the order in which they go: node leaving, old revision, not Ready, zone surplus, fewest allocations,
 * youngest. `count` of them are looked for, and the zones are weighed anew after each.
 */
export function pickVictims<T extends Candidate>(candidates: readonly T[], count: number): T[] {
  const left = new Set(candidates)
  const zones = countZones(candidates)
  const victims: T[] = []
  while (victims.length < count && left.size > 0) {
    const victim = first(left, zones)
    left.delete(victim)
    zones.set(victim.zone, (zones.get(victim.zone) ?? 1) - 1)
    victims.push(victim)
  }
  return victims
}

function first<T extends Candidate>(
  candidates: Iterable<T>,
  zones: ReadonlyMap<string | undefined, number>,
): T {
  let best: T | undefined
  for (const candidate of candidates) {
    if (!best || compare(candidate, best, zones) < 0) best = candidate
  }
  return best!
}

function countZones(candidates: readonly Candidate[]): Map<string | undefined, number> {
  const zones = new Map<string | undefined, number>()
  for (const { zone } of candidates) zones.set(zone, (zones.get(zone) ?? 0) + 1)
  return zones
}

function compare(a: Candidate, b: Candidate, zones: ReadonlyMap<string | undefined, number>): number {
  return (
    Number(b.nodeLeaving) - Number(a.nodeLeaving) ||
    Number(a.current) - Number(b.current) ||
    Number(a.ready) - Number(b.ready) ||
    (zones.get(b.zone) ?? 0) - (zones.get(a.zone) ?? 0) ||
    byAllocations(a, b) ||
    b.createdAtMs - a.createdAtMs ||
    (a.name < b.name ? -1 : 1)
  )
}

function byAllocations(a: Candidate, b: Candidate): number {
  if (a.allocations === b.allocations) return 0
  return (a.allocations ?? Number.POSITIVE_INFINITY) - (b.allocations ?? Number.POSITIVE_INFINITY)
}
