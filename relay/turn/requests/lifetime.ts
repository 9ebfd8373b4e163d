import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readUint32Value } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import type { TurnCore } from '../core.ts'

/** LIFETIME of a request: undefined where there is none, NaN where it is malformed. */
export function requestedLifetime(reader: StunReader): number | undefined {
  const index = reader.find(ATTRIBUTE.Lifetime)
  return index < 0 ? undefined : (readUint32Value(reader, index) ?? Number.NaN)
}

/**
 * What is granted: between the default and the maximum (RFC 8656 §7.2, §8.2). A relay that drains grants no
 * more than the default, so that what its clients abandon goes soon.
 */
export function grantLifetime({ config, draining }: TurnCore, requested: number | undefined): number {
  const { allocationLifetimeSeconds: least, allocationLifetimeMaxSeconds: most } = config.limits
  if (requested === undefined || draining) return least
  return Math.max(least, Math.min(requested, most))
}
