import { durationSeconds } from '../../api/durations.ts'
import { counted } from '../../api/words.ts'
import type { Action } from '../contract.ts'
import type { AssessedRelay } from '../relay-state.ts'
import { alreadyIn, endedYoung, type PlanRule } from './roles.ts'

/** Deletes relays that have ended, and those whose node is gone: nothing of them runs. */
export const deleteEnded: PlanRule = ({ view: { relays, nowMs } }) =>
  relays
    .filter((assessed) => !assessed.relay.terminating && assessed.state === 'Lost')
    .filter((assessed) =>
      assessed.relay.phase === 'Ended' ? !endedYoung(assessed, nowMs) : assessed.reason === 'NodeGone',
    )
    .map((assessed) => deletion(assessed, assessed.reason, false, assessed.message))

/** Deletes drained relays: on a fresh acknowledged zero, or when the longest drain is over. */
export const deleteDrained: PlanRule = ({ view, roles }, before) => {
  const longestMs = durationSeconds(view.observed.cluster.spec.drain.maxDuration) * 1000
  return roles.draining.flatMap((assessed): Action[] => {
    const { relay, state, message } = assessed
    if (!relay.drain || alreadyIn(before, relay.uid, 'undrain', 'delete-relay')) return []
    if (state === 'Drained') return [deletion(assessed, 'RelayDrained', false, message)]
    if (view.nowMs - relay.drain.sinceMs < longestMs) return []
    const { allocations } = assessed
    const left =
      allocations === undefined ? 'an unknown number of allocations' : counted(allocations, 'allocation')
    const why = `drain.maxDuration is over, and ends ${left}`
    return [deletion(assessed, 'DrainDeadline', true, why)]
  })
}

function deletion({ relay }: AssessedRelay, reason: string, forced: boolean, why: string): Action {
  const message = `deletes ${relay.name}: ${why}`
  return { kind: 'delete-relay', relay: relay.name, uid: relay.uid, forced, reason, message }
}
