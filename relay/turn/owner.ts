import type { AllocationOwner } from './allocation.ts'

/**
 * Whether two requests are of one user (RFC 8656 §5). ACCESS-TOKENs name none: a client goes on with another one,
 * of another key perhaps, on the 5-tuple that it has (RFC 7635 §9); from elsewhere it needs the one it came with.
 */
export function isSameUser(made: AllocationOwner, asks: AllocationOwner, onFiveTuple: boolean): boolean {
  if (made.realm.name !== asks.realm.name) return false
  if (made.token && asks.token) return onFiveTuple || made.user === asks.user
  return made.token === asks.token && made.username === asks.username
}
