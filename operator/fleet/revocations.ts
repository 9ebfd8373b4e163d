import { REVOCATIONS_MAX, type Revocation, type RevocationList } from '../../relay/api/revocations.ts'

/**
 * The list with one more entry, and the entry as it stands in it: whom an entry names already is not named
 * twice. Undefined: the list is full.
 */
export function withRevocation(
  list: RevocationList,
  wanted: Revocation,
  nowMs: number,
): { list: RevocationList; revocation: Revocation } | undefined {
  const known = list.entries.find((entry) => isAboutTheSame(entry, wanted))
  const revocation = { ...wanted, id: known?.id ?? wanted.id }
  const others = current(list, nowMs).filter((entry) => entry !== known)
  if (others.length >= REVOCATIONS_MAX) return undefined
  return { list: next(list, [...others, revocation], nowMs), revocation }
}

/** The list without an entry; undefined: it has none of that id. */
export function withoutRevocation(
  list: RevocationList,
  id: string,
  nowMs: number,
): RevocationList | undefined {
  const entries = current(list, nowMs)
  const others = entries.filter((entry) => entry.id !== id)
  return others.length < entries.length ? next(list, others, nowMs) : undefined
}

/** The entries that have not ended. */
export function current({ entries }: RevocationList, nowMs: number): Revocation[] {
  return entries.filter(({ until }) => Date.parse(until) > nowMs)
}

/** Generations grow with the clock, so that a list which was lost is followed by a newer one. */
function next({ generation }: RevocationList, entries: Revocation[], nowMs: number): RevocationList {
  return { generation: Math.max(generation + 1, nowMs), entries }
}

function isAboutTheSame(a: Revocation, b: Revocation): boolean {
  return a.user === b.user && a.tenant === b.tenant && a.keyId === b.keyId
}
