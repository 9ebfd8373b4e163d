import type { TurnCore } from './core.ts'
import type { DropReason } from './drops.ts'
import type { Request } from './request.ts'

/**
 * Takes the answer to a request that has not proven who sends it from the budgets for that, once; says which is
 * used up. The source's comes first: one that floods leaves the relay's to others. A stream has proven its address.
 */
export function chargeAnswer(core: TurnCore, request: Request): DropReason | undefined {
  if (request.charged) return undefined
  const { client, from, now } = request
  const { unauthenticated, unauthenticatedBySource, config } = core
  const {
    unauthenticatedResponsesPerSecond: total,
    unauthenticatedResponsesPerSecondPerAddress: perAddress,
  } = config.limits
  const proven = from.remote !== undefined
  if (!proven && !unauthenticatedBySource.take(client, perAddress, now)) {
    return 'unauthenticated-source-budget'
  }
  if (!unauthenticated.take(1, total, now)) return 'unauthenticated-budget'
  request.charged = true
  return undefined
}
