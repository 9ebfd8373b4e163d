import { durationSeconds } from '../api/durations.ts'
import type { TurnClusterSpec } from '../api/turn-cluster.ts'
import { counted } from '../api/words.ts'
import {
  type AutoscalerMemory,
  rememberRecommendation,
  rememberStartups,
  SAMPLE_SECONDS,
  type StartingRelay,
  sampleGrowth,
  startupSeconds,
} from './memory.ts'
import { type Binding, type Demand, recommend } from './recommend.ts'

/** The load of the fleet as the autoscaler sees it. */
export interface FleetLoad {
  allocations: number
  capacityPerRelay: number
  zones: number
  /** False where a relay that carries calls has not reported lately: nothing shrinks. */
  complete: boolean
  relays: readonly StartingRelay[]
}

export interface ScalingDecision {
  desired: number
  binding: Binding | 'Replicas' | 'Window' | 'LoadUnknown' | 'Tolerance' | 'Step'
  message: string
  /** What holds the fleet below or above what the load asks for; undefined where nothing does. */
  limited?: 'MaxReplicas' | 'MinReplicas'
}

/** Growth of one step, where the fleet is smaller than this. */
const LEAST_STEP = 4
/** Longest time between two decisions that belong to one record. */
const LONGEST_GAP_SECONDS = 60
/** A fleet does not shrink for less than this share of it. */
const TOLERANCE = 0.1

/** The number of relays that the spec and the load ask for. `previous` is the last decision, from the status. */
export function decide(
  spec: Pick<TurnClusterSpec, 'autoscaling' | 'replicas'>,
  load: FleetLoad,
  previous: number | undefined,
  memory: AutoscalerMemory,
  nowMs: number,
): { decision: ScalingDecision; memory: AutoscalerMemory } {
  const measured = { ...withoutGap(memory, nowMs), ...rememberStartups(memory, load.relays, nowMs) }
  measured.growth = sampleGrowth(memory.growth, load.allocations, nowMs)
  const { autoscaling } = spec
  if (!autoscaling.enabled) {
    const message = `spec.replicas asks for ${spec.replicas}`
    const decision: ScalingDecision = { desired: spec.replicas, binding: 'Replicas', message }
    return { decision, memory: { ...measured, sinceMs: nowMs, slices: [] } }
  }
  const demand: Demand = {
    allocations: load.allocations,
    capacityPerRelay: load.capacityPerRelay,
    zones: load.zones,
    growthPerSecond: Math.max(measured.growth.shortPerSecond, measured.growth.longPerSecond),
    startupSeconds: startupSeconds(measured),
  }
  const windowSeconds = durationSeconds(autoscaling.scaleDownStabilization)
  const wanted = recommend(demand, autoscaling)
  measured.slices = rememberRecommendation(measured.slices, wanted.replicas, windowSeconds, nowMs)
  const current = Math.min(
    Math.max(previous ?? wanted.replicas, autoscaling.minReplicas),
    autoscaling.maxReplicas,
  )
  const limited = wanted.binding === 'MaxReplicas' ? wanted.binding : undefined
  const base = limited ? { limited } : {}
  const outcome =
    wanted.replicas >= current
      ? upward(wanted, current)
      : downward({
          current,
          wanted,
          highest: Math.max(...measured.slices.map((slice) => slice.highest)),
          windowFilled: nowMs - measured.sinceMs >= windowSeconds * 1000,
          windowSeconds,
          complete: load.complete,
        })
  if (outcome.desired === current) return { decision: { ...base, ...outcome }, memory: measured }
  if (nowMs - measured.changedAtMs < SAMPLE_SECONDS * 1000) {
    return { decision: { ...base, ...outcome, desired: current, binding: 'Step' }, memory: measured }
  }
  return { decision: { ...base, ...outcome }, memory: { ...measured, changedAtMs: nowMs } }
}

/** A record with a gap in it says nothing about the gap: it begins anew. */
function withoutGap(memory: AutoscalerMemory, nowMs: number): AutoscalerMemory {
  if (nowMs - memory.growth.sampledAtMs <= LONGEST_GAP_SECONDS * 1000) return memory
  return { ...memory, sinceMs: nowMs, slices: [], growth: { ...memory.growth, sampledAtMs: 0 } }
}

type Outcome = Pick<ScalingDecision, 'desired' | 'binding' | 'message'>
type Wanted = ReturnType<typeof recommend>

/** Up at once, bounded per step. */
function upward({ replicas, binding, message }: Wanted, current: number): Outcome {
  const most = current + Math.max(LEAST_STEP, current)
  if (replicas <= most) return { desired: replicas, binding, message }
  return { desired: most, binding: 'Step', message: `${message}; at most ${most - current} more at a time` }
}

interface Downward {
  current: number
  wanted: Wanted
  /** Highest recommendation of the window. */
  highest: number
  windowFilled: boolean
  windowSeconds: number
  complete: boolean
}

/** Down to the highest recommendation of the window, few at a time. */
function downward({ current, wanted, highest, windowFilled, windowSeconds, complete }: Downward): Outcome {
  const hold = (binding: ScalingDecision['binding'], message: string): Outcome => ({
    desired: current,
    binding,
    message,
  })
  if (!complete)
    return hold(
      'LoadUnknown',
      `keeps ${counted(current, 'relay')}: not every relay has reported its load lately`,
    )
  if (!windowFilled || highest >= current) {
    return hold(
      'Window',
      `keeps ${counted(current, 'relay')} until fewer have been enough for ${windowSeconds} s`,
    )
  }
  if (current - highest < current * TOLERANCE) {
    return hold('Tolerance', `keeps ${counted(current, 'relay')}: ${highest} would be nearly as many`)
  }
  const fewest = current - Math.max(1, Math.floor(current * TOLERANCE))
  if (highest >= fewest) {
    const binding = highest === wanted.replicas ? wanted.binding : 'Window'
    return { desired: highest, binding, message: wanted.message }
  }
  return {
    desired: fewest,
    binding: 'Step',
    message: `${wanted.message}; at most ${current - fewest} fewer at a time`,
  }
}
