import { pickVictims } from '../../autoscaler/victims.ts'
import type { Succession } from '../contract.ts'
import { candidate, goodbye } from './drain.ts'
import { DRAIN_REASONS, type PlanInput, type PlanRule } from './roles.ts'

/**
 * The relay of an old revision whose listeners the next new one takes; undefined where none offers them: it was
 * started without a hand-over, is on a node that must be left, or has another relay at its listeners already.
 */
export function predecessor({ view, roles }: PlanInput): Succession | undefined {
  if (view.observed.cluster.spec.update.strategy !== 'HandOver') return undefined
  const heirs = new Set(roles.counted.filter(({ current }) => current).map(({ relay }) => relay.node))
  const offers = roles.ready.filter(
    ({ relay, node, current, fresh, report }) =>
      !current &&
      fresh &&
      report?.handOver === 'offered' &&
      !relay.drain &&
      node?.ready === true &&
      node.leaving === undefined &&
      !heirs.has(relay.node),
  )
  const [chosen] = pickVictims(offers.map(candidate), 1)
  const relay = chosen?.assessed.relay
  if (!relay || relay.node === undefined) return undefined
  return { relay: relay.name, node: relay.node, addresses: relay.addresses }
}

/** Empties relays that have handed their listeners over, once the one that has them serves clients. */
export const retireHandedOver: PlanRule = ({ roles }) => {
  const heirs = new Map(
    roles.ready.filter(({ report }) => report?.handOver !== 'done').map((a) => [a.relay.node, a]),
  )
  return roles.ready.flatMap((assessed) => {
    const heir = heirs.get(assessed.relay.node)
    if (assessed.report?.handOver !== 'done' || assessed.relay.drain || !heir) return []
    return [
      goodbye(assessed, DRAIN_REASONS.handedOver, `${heir.relay.name} has its listeners and serves clients`),
    ]
  })
}
