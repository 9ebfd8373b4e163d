import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TurnClusterSpecInput } from '../api/turn-cluster.ts'
import { turnCluster } from '../controller/testing/fixtures.ts'
import { decide, type FleetLoad, type ScalingDecision } from './decide.ts'
import { type AutoscalerMemory, emptyAutoscalerMemory, startupSeconds } from './memory.ts'

const START = Date.UTC(2026, 0, 1)
const WINDOW = 600

/** An autoscaler that is asked again and again, with a clock of its own. */
class Asked {
  memory: AutoscalerMemory = emptyAutoscalerMemory(START)
  nowMs = START
  desired: number | undefined
  readonly spec: ReturnType<typeof turnCluster>['spec']

  constructor(autoscaling: TurnClusterSpecInput['autoscaling'] = {}, desired?: number) {
    const defaults = { enabled: true, minReplicas: 1, maxReplicas: 20, buffer: { allocations: 0 } }
    this.spec = turnCluster({ autoscaling: { ...defaults, ...autoscaling } }).spec
    this.desired = desired
  }

  after(seconds: number, allocations: number, changes: Partial<FleetLoad> = {}): ScalingDecision {
    this.nowMs += seconds * 1000
    const load = { allocations, capacityPerRelay: 100, zones: 1, complete: true, relays: [], ...changes }
    const { decision, memory } = decide(this.spec, load, this.desired, this.memory, this.nowMs)
    this.memory = memory
    this.desired = decision.desired
    return decision
  }
}

test('up at once, to the size that the load asks for', () => {
  const asked = new Asked({}, 3)
  const decision = asked.after(10, 400)
  assert.equal(decision.desired, 6)
  assert.equal(decision.binding, 'Utilization')
})

test('up is bounded per step, and a step takes its time', () => {
  const asked = new Asked({}, 2)
  assert.deepEqual([asked.after(10, 1300).desired, asked.desired], [6, 6])
  assert.equal(asked.after(2, 1300).desired, 6)
  assert.equal(asked.after(8, 1300).desired, 12)
  assert.equal(asked.after(10, 1300).desired, 19)
})

test('down only after a whole window in which fewer were enough', () => {
  const asked = new Asked({}, 4)
  asked.after(10, 100)
  for (let second = 10; second < WINDOW; second += 10) {
    assert.equal(asked.after(10, 100).desired, 4, `after ${second} s`)
  }
  assert.equal(asked.after(10, 100).desired, 3)
  assert.equal(asked.after(10, 100).desired, 2)
  assert.equal(asked.after(10, 100).desired, 2)
})

test('a peak holds the fleet for a window', () => {
  const asked = new Asked({}, 4)
  for (let i = 0; i < 59; i++) asked.after(10, 100)
  asked.after(10, 250)
  const shrunkAfter = Array.from(
    { length: 80 },
    (_, i) => [i * 10, asked.after(10, 100).desired] as const,
  ).find(([, desired]) => desired < 4)
  assert.ok(
    shrunkAfter && shrunkAfter[0] >= WINDOW - 20 && shrunkAfter[0] <= WINDOW + 20,
    String(shrunkAfter),
  )
})

test('a decision that is late begins a new window', () => {
  const asked = new Asked({}, 8)
  asked.after(10, 100)
  assert.equal(asked.after(2 * WINDOW, 100).desired, 8)
})

test('a restart of the operator holds the fleet for a window instead of shrinking it', () => {
  const asked = new Asked({}, 8)
  for (let i = 0; i < 55; i++) asked.after(10, 100)
  asked.memory = emptyAutoscalerMemory(asked.nowMs)
  for (let i = 0; i < 59; i++) asked.after(10, 100)
  const decision = asked.after(9, 100)
  assert.equal(decision.desired, 8)
  assert.equal(decision.binding, 'Window')
})

test('while a load is unknown nothing shrinks, and what is known may grow the fleet', () => {
  const asked = new Asked({}, 4)
  for (let i = 0; i < 70; i++) assert.equal(asked.after(10, 0, { complete: false }).desired, 4)
  assert.equal(asked.after(10, 0, { complete: false }).binding, 'LoadUnknown')
  assert.ok(asked.after(10, 400, { complete: false }).desired >= 6)
})

test('bounds that change take effect at once', () => {
  const asked = new Asked({ maxReplicas: 5 }, 9)
  assert.equal(asked.after(10, 0).desired, 5)
  const more = new Asked({ minReplicas: 3 }, 1)
  assert.equal(more.after(10, 0).desired, 3)
})

test('the largest fleet says that it is limited', () => {
  const decision = new Asked({ maxReplicas: 3 }, 3).after(10, 10_000)
  assert.equal(decision.limited, 'MaxReplicas')
  assert.equal(decision.desired, 3)
})

test('without autoscaling the number is the one of the spec', () => {
  const asked = new Asked({ enabled: false }, 9)
  const decision = asked.after(10, 10_000)
  assert.equal(decision.desired, asked.spec.replicas)
  assert.equal(decision.binding, 'Replicas')
})

test('growth widens the buffer by the measured time to a ready relay', () => {
  const asked = new Asked({ targetUtilization: 100 }, 2)
  const relays = (ready: boolean) => [{ uid: 'a', ready, createdAtMs: START }]
  asked.after(10, 0, { relays: relays(false) })
  asked.after(30, 0, { relays: relays(true) })
  assert.equal(startupSeconds(asked.memory), 40)
  for (let i = 1; i <= 60; i++) asked.after(10, i * 20)
  const decision = asked.after(10, 1220)
  const room = Number(/room for (\d+) more, by growth of 2\.0 a second/.exec(decision.message)?.[1])
  assert.ok(room >= 110 && room <= 121, `room for ${room}, at two a second over 40 s: ${decision.message}`)
})

test('whatever the load does, the bounds hold, no step down is larger than a tenth, and the memory stays small', () => {
  const loads = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.nat(3000), fc.boolean()), {
    maxLength: 200,
  })
  fc.assert(
    fc.property(loads, (steps) => {
      const asked = new Asked({ minReplicas: 2, maxReplicas: 15, scaleDownStabilization: '60s' }, 2)
      for (const [seconds, allocations, complete] of steps) {
        const before = asked.desired ?? 0
        const { desired } = asked.after(seconds, allocations, { complete })
        assert.ok(desired >= 2 && desired <= 15)
        assert.ok(before - desired <= 1, `${before} → ${desired}`)
        if (desired < before) assert.ok(complete)
      }
      assert.ok(asked.memory.slices.length <= 61)
    }),
    { numRuns: 100 },
  )
})
