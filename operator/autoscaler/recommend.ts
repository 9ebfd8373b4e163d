import type { TurnClusterSpec } from '../api/turn-cluster.ts'
import { counted } from '../api/words.ts'

/** What a recommendation is made from. */
export interface Demand {
  /** Live allocations on relays that are not draining, as last known. */
  allocations: number
  capacityPerRelay: number
  /** Zones that the relays lie in; 1 where none is known. */
  zones: number
  /** Allocations per second. */
  growthPerSecond: number
  startupSeconds: number
}

export type Binding = 'Utilization' | 'Buffer' | 'ZoneFailure' | 'MinReplicas' | 'MaxReplicas'

export interface Recommendation {
  replicas: number
  /** What the load asks for, before the bounds of the spec. */
  unbounded: number
  binding: Binding
  message: string
}

type Autoscaling = TurnClusterSpec['autoscaling']

/** The buffer covers this many times the growth until a new relay is Ready. */
const GROWTH_SAFETY = 1.5

/** How many relays the load asks for now, and which term says so. */
export function recommend(demand: Demand, spec: Autoscaling): Recommendation {
  const terms = [utilization(demand, spec), buffer(demand, spec), zoneFailure(demand)]
  const highest = terms.reduce((best, term) => (term.replicas > best.replicas ? term : best))
  const unbounded = highest.replicas
  if (unbounded > spec.maxReplicas) {
    const message = `${highest.message}; autoscaling.maxReplicas allows ${spec.maxReplicas}`
    return { replicas: spec.maxReplicas, unbounded, binding: 'MaxReplicas', message }
  }
  if (unbounded < spec.minReplicas) {
    const message = `the load asks for ${unbounded}; autoscaling.minReplicas keeps ${spec.minReplicas}`
    return { replicas: spec.minReplicas, unbounded, binding: 'MinReplicas', message }
  }
  return { ...highest, unbounded }
}

/** Allocations that must fit without a new relay. */
function bufferAllocations(
  demand: Pick<Demand, 'growthPerSecond' | 'startupSeconds'>,
  spec: Autoscaling,
): number {
  return Math.max(
    spec.buffer.allocations,
    Math.ceil(GROWTH_SAFETY * demand.growthPerSecond * demand.startupSeconds),
  )
}

interface Term {
  replicas: number
  binding: Binding
  message: string
}

function utilization({ allocations, capacityPerRelay }: Demand, { targetUtilization }: Autoscaling): Term {
  const replicas = Math.ceil((allocations * 100) / (capacityPerRelay * targetUtilization))
  const message = `${counted(allocations, 'allocation')} fill ${counted(replicas, 'relay')} of ${capacityPerRelay} to ${targetUtilization} %`
  return { replicas, binding: 'Utilization', message }
}

function buffer(demand: Demand, spec: Autoscaling): Term {
  const room = bufferAllocations(demand, spec)
  const replicas = Math.ceil((demand.allocations + room) / demand.capacityPerRelay)
  const why =
    room > spec.buffer.allocations ? `, by growth of ${demand.growthPerSecond.toFixed(1)} a second` : ''
  const message = `${counted(demand.allocations, 'allocation')} and room for ${room} more${why} need ${counted(replicas, 'relay')}`
  return { replicas, binding: 'Buffer', message }
}

/** The calls of the zone that fails come back on the relays of the others. */
function zoneFailure({ allocations, capacityPerRelay, zones }: Demand): Term {
  if (zones < 2) return { replicas: 0, binding: 'ZoneFailure', message: '' }
  const replicas = Math.ceil((allocations / capacityPerRelay) * (zones / (zones - 1)))
  return {
    replicas,
    binding: 'ZoneFailure',
    message: `${counted(allocations, 'allocation')} must fit when one of ${zones} zones fails: ${counted(replicas, 'relay')}`,
  }
}
