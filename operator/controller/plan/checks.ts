import type { Action, RelayCheck } from '../contract.ts'
import { CHECK_INTERVAL_SECONDS, CHECK_RETRY_SECONDS } from '../limits.ts'
import type { PlanRule } from './roles.ts'

/** Checks relays through their public address: before they become Ready, and from time to time afterwards. */
export const checks: PlanRule = ({ view: { observed, relays, nowMs } }) =>
  relays.flatMap(({ relay, state, report, fresh }): Action[] => {
    const address = relay.addresses[0]?.advertise
    const serves = (state === 'Verifying' || state === 'Ready') && fresh && report?.state === 'serving'
    if (!serves || address === undefined || !report.addresses.includes(address)) return []
    if (!isDue(observed.checks.get(relay.uid), address, nowMs)) return []
    const message = `checks ${relay.name} through ${address}`
    return [
      { kind: 'check-relay', relay: relay.name, uid: relay.uid, address, reason: 'RelayCheck', message },
    ]
  })

function isDue(check: RelayCheck | undefined, address: string, nowMs: number): boolean {
  if (!check || check.address !== address) return true
  const interval = check.state === 'failed' ? CHECK_RETRY_SECONDS : CHECK_INTERVAL_SECONDS
  return nowMs - check.atMs >= interval * 1000
}
