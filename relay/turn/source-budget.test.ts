import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, request, TurnHarness } from '../../test/support/turn-harness.ts'
import { METHOD } from '../stun/methods.ts'
import { SourceBudget } from './source-budget.ts'

const LIMIT = 10

/** How many of `count` requests from a source are granted at once. */
function granted(budget: SourceBudget, source: string, count: number, now = 0): number {
  return Array.from({ length: count }, () => budget.take(address(source), LIMIT, now)).filter(Boolean).length
}

test('a source gets its rate and no more, whatever its port, and again with time', () => {
  const budget = new SourceBudget(1)
  assert.equal(granted(budget, '198.51.100.7:1', 6), 6)
  assert.equal(granted(budget, '198.51.100.7:2', 6), 4)
  assert.equal(granted(budget, '198.51.100.7:3', 6, 300), 3)
  assert.equal(granted(budget, '198.51.100.7:3', 50, 100_000), LIMIT)
})

test('another source has a budget of its own', () => {
  const budget = new SourceBudget(1)
  granted(budget, '198.51.100.7:1', 50)
  assert.equal(granted(budget, '198.51.100.8:1', 50), LIMIT)
})

test('an IPv6 source is its /64', () => {
  const budget = new SourceBudget(1)
  granted(budget, '[2001:db8:1:2::7]:1', 50)
  assert.equal(granted(budget, '[2001:db8:1:2:ffff::8]:1', 50), 0)
  assert.equal(granted(budget, '[2001:db8:1:3::7]:1', 50), LIMIT)
})

test('100 sources that use up their budgets leave nearly all others theirs', () => {
  const budget = new SourceBudget(7)
  const ip = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1`
  for (let i = 0; i < 100; i++) granted(budget, ip(i), LIMIT)
  const hit = Array.from({ length: 10_000 }, (_, i) => granted(budget, ip(100 + i), 1)).filter((n) => n === 0)
  assert.ok(hit.length < 300, `${hit.length} of 10,000 shared a bucket with one of 100`)
})

test('0 is no limit', () => {
  const budget = new SourceBudget(1)
  assert.ok(Array.from({ length: 99 }, () => budget.take(address('198.51.100.7:1'), 0, 0)).every(Boolean))
})

test('RFC 8489 §16.1.2: one source that floods uses up its own budget, not the relay’s', () => {
  const limits = { unauthenticatedResponsesPerSecond: 20, unauthenticatedResponsesPerSecondPerAddress: LIMIT }
  const harness = new TurnHarness({ limits })
  for (let i = 0; i < 1000; i++) harness.fromClient(`198.51.100.7:${i + 1}`, request(METHOD.Allocate))
  assert.equal(harness.drain().length, LIMIT)
  assert.equal(harness.server.counters.drops['unauthenticated-source-budget'], 990)
  assert.equal(harness.server.counters.drops['unauthenticated-budget'], 0)
  assert.equal(harness.client('198.51.100.8:1').allocate()?.code, 0)
})

test('a stream has proven its address: the budget of its source is not for it', () => {
  const harness = new TurnHarness({ limits: { unauthenticatedResponsesPerSecondPerAddress: LIMIT } })
  for (let i = 0; i < 50; i++) harness.client('198.51.100.7:1').ask(METHOD.Binding)
  harness.addLink(2, 'tcp', '192.0.2.1:3478', '198.51.100.7:4000')
  assert.equal(harness.client('198.51.100.7:4000', 2).allocate()?.code, 0)
})
