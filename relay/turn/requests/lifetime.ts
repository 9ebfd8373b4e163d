import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readUint32Value } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import type { AllocationOwner } from '../allocation.ts'
import type { TurnCore } from '../core.ts'
import { tokenRemainingSeconds } from '../third-party.ts'

const EXPIRED = -1

/** LIFETIME of a request: undefined where there is none, NaN where it is malformed. */
export function requestedLifetime(reader: StunReader): number | undefined {
  const index = reader.find(ATTRIBUTE.Lifetime)
  return index < 0 ? undefined : (readUint32Value(reader, index) ?? Number.NaN)
}

/**
 * What is granted: between the default and the maximum (RFC 8656 §7.2, §8.2). A relay that drains grants no
 * more than the default, so that what its clients abandon goes soon. Nothing outlasts an ACCESS-TOKEN (RFC 7635
 * §9): negative where it is over.
 */
export function grantLifetime(
  core: TurnCore,
  { token }: AllocationOwner,
  requested: number | undefined,
  now: number,
): number {
  const { allocationLifetimeSeconds: least, allocationLifetimeMaxSeconds: most } = core.config.limits
  const wished = requested === undefined || core.draining ? least : Math.max(least, Math.min(requested, most))
  if (!token) return wished
  const remaining = Math.floor(tokenRemainingSeconds(token, core.unixSeconds(now)))
  return remaining > 0 ? Math.min(wished, remaining) : EXPIRED
}
