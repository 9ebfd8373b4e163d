import { relayName } from '../../specs/names.ts'
import type { Action } from '../contract.ts'
import { CREATE_STEP } from '../limits.ts'
import { predecessor } from './hand-over.ts'
import { cannotStart } from './prerequisites.ts'
import { isOwnDrain, type PlanInput, type PlanRule } from './roles.ts'

/** Brings draining relays back when demand returns: they are warm, and their calls stay. */
export const undrain: PlanRule = (input) => {
  const candidates = input.roles.draining
    .filter(({ relay, node, report, current, fresh, neverRan }) => {
      const nodeStays = node?.ready === true && node.leaving === undefined
      const listens = report?.handOver !== 'done'
      return current && fresh && !neverRan && nodeStays && listens && isOwnDrain(relay.drain?.reason ?? '')
    })
    .sort((a, b) => (b.allocations ?? 0) - (a.allocations ?? 0))
  return candidates.slice(0, missing(input)).map(({ relay }): Action => {
    const message = `brings ${relay.name} back instead of starting a new relay: ${input.scaling.message}`
    return { kind: 'undrain', relay: relay.name, uid: relay.uid, reason: 'Undrain', message }
  })
}

/** Creates relays up to the wanted number, and one more while relays of an old revision are being replaced. */
export const create: PlanRule = (input, before) => {
  if (cannotStart(input.view.observed, before) !== undefined) return []
  const { roles, scaling } = input
  const undrained = before.filter(({ kind }) => kind === 'undrain').length
  const short = missing(input) - undrained
  const onTheirWay = roles.counted.filter(({ state }) => state !== 'Ready').length + undrained
  const step = Math.max(CREATE_STEP, roles.ready.length) - onTheirWay
  if (short > 0) {
    return newRelays(input, Math.min(short, step), 'RelayCreated', scaling.message)
  }
  if (!wantsSurge(input)) return []
  const succeeds = predecessor(input)
  if (!succeeds) return newRelays(input, 1, 'RolloutSurge', 'replaces a relay of an older revision')
  const why = `takes the listeners of ${succeeds.relay} on node ${succeeds.node}`
  return newRelays(input, 1, 'RolloutHandOver', why).map((action) => ({ ...action, succeeds }))
}

type Creation = Extract<Action, { kind: 'create-relay' }>

/** Relays that are wanted and not there. */
function missing({ roles, scaling }: PlanInput): number {
  return Math.max(0, scaling.desired - roles.counted.length)
}

/** One new relay at a time is tried, and the next one only when every one before it is Ready. */
function wantsSurge({ roles, scaling }: PlanInput): boolean {
  const old = roles.counted.filter(({ current }) => !current)
  const settled = roles.counted.every(({ current, state }) => !current || state === 'Ready')
  return old.length > 0 && settled && scaling.desired > 0 && roles.counted.length <= scaling.desired
}

function newRelays(
  { view: { observed } }: PlanInput,
  count: number,
  reason: string,
  why: string,
): Creation[] {
  const { name } = observed.cluster.metadata
  const actions: Creation[] = []
  const taken = new Set(observed.relays.map(({ ordinal }) => ordinal))
  const foreign = new Set(observed.foreign)
  for (let ordinal = 0; actions.length < count; ordinal++) {
    const relay = relayName(name, ordinal, observed.revision)
    if (taken.has(ordinal) || foreign.has(relay)) continue
    actions.push({ kind: 'create-relay', name: relay, ordinal, reason, message: `creates ${relay}: ${why}` })
  }
  return actions
}
