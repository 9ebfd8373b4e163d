import type { Condition, ConditionType } from './turn-cluster.ts'

export type ConditionState = Pick<Condition, 'status' | 'reason' | 'message'>

/**
 * The condition of `type` in its new state. Its transition time moves only when its status does, so that the
 * same state gives the same object again.
 */
export function transition(
  previous: readonly Condition[] | undefined,
  type: ConditionType,
  state: ConditionState,
  observedGeneration: number,
  nowMs: number,
): Condition {
  const before = previous?.find((condition) => condition.type === type)
  const since = before?.status === state.status ? before.lastTransitionTime : rfc3339(nowMs)
  return { type, ...state, observedGeneration, lastTransitionTime: since }
}

export function conditionOf(
  conditions: readonly Condition[] | undefined,
  type: ConditionType,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

/** A time as Kubernetes writes it, in whole seconds. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
