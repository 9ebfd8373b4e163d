import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TICK_MS, Timer, TimerWheel } from './timer-wheel.ts'

class Named extends Timer {
  readonly name: number
  constructor(name: number) {
    super()
    this.name = name
  }
}

test('timers fire once, never early and at most a tick late, in a wheel that turns many times', () => {
  const step = fc.record({
    delay: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 4_000_000 })),
    wait: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 2_000_000 })),
    cancel: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e9 }), fc.array(step, { maxLength: 40 }), (start, steps) => {
      const wheel = new TimerWheel<Named>()
      const due = new Map<number, number>()
      const timers = new Map<number, Named>()
      let now = start
      const advanceTo = (end: number) => {
        while (wheel.nextDeadline <= end) {
          now = Math.max(now, wheel.nextDeadline)
          wheel.advance(now, (timer) => {
            const at = due.get(timer.name)
            assert.ok(at !== undefined && at <= now && now < at + 2 * TICK_MS)
            due.delete(timer.name)
          })
        }
        now = end
      }
      steps.forEach(({ delay, wait, cancel }, name) => {
        const timer = new Named(name)
        timers.set(name, timer)
        wheel.schedule(timer, now + delay, now)
        due.set(name, now + delay)
        if (cancel && name > 0) {
          wheel.cancel(timers.get(name - 1)!)
          due.delete(name - 1)
        }
        assert.equal(wheel.size, due.size)
        advanceTo(now + wait)
      })
      advanceTo(now + 5_000_000)
      assert.equal(due.size, 0)
      assert.equal(wheel.nextDeadline, Number.POSITIVE_INFINITY)
    }),
  )
})

test('a timer that is moved fires at its new time only', () => {
  const wheel = new TimerWheel<Named>()
  const timer = new Named(1)
  const fired: number[] = []
  wheel.schedule(timer, 1_000, 0)
  wheel.schedule(timer, 3_000, 0)
  wheel.advance(2_000, () => fired.push(2_000))
  wheel.advance(3_000, () => fired.push(3_000))
  assert.deepEqual(fired, [3_000])
})

test('a timer may be set again, and others cancelled, while it fires', () => {
  const wheel = new TimerWheel<Named>()
  const [a, b] = [new Named(1), new Named(2)]
  wheel.schedule(a, 1_000, 0)
  wheel.schedule(b, 1_000, 0)
  const fired: number[] = []
  wheel.advance(1_000, (timer) => {
    fired.push(timer.name)
    wheel.cancel(timer === a ? b : a)
    wheel.schedule(timer, 500, 1_000)
  })
  assert.equal(fired.length, 1)
  assert.equal(wheel.size, 1)
  assert.ok(wheel.nextDeadline > 1_000)
})

test('of many timers that are due together as many fire as are asked for, and the rest stay due', () => {
  const wheel = new TimerWheel<Named>()
  const fired: number[] = []
  const fire = (timer: Named) => void fired.push(timer.name)
  for (let name = 0; name < 10; name++) wheel.schedule(new Named(name), name < 7 ? 1000 : 1100, 0)
  for (const wanted of [3, 6, 9]) {
    wheel.advance(5000, fire, 3)
    assert.equal(fired.length, wanted)
    assert.ok(wheel.nextDeadline <= 1100)
  }
  wheel.schedule(new Named(10), 1000, 5000)
  wheel.schedule(new Named(11), 9000, 5000)
  wheel.advance(5000, fire, 3)
  assert.deepEqual([fired.toSorted((a, b) => a - b), wheel.size], [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1])
  assert.equal(wheel.nextDeadline, 9000)
})
