import assert from 'node:assert/strict'
import type { TurnServer } from '../../../relay/turn/server.ts'

/** What the counters of a server, which metrics show, must agree with. */
export interface HeardOf {
  /** Responses that left. */
  readonly answers: number
  /** Allocations whose beginning was told, and whose end was not. */
  readonly live: number
}

/** What metrics say is what happened. */
export function checkCounters({ counters, allocationCount }: TurnServer, heard: HeardOf): void {
  const { opened, closed, responses, refusals } = counters
  assert.equal(opened - sum(Object.values(closed)), heard.live, 'allocations are counted wrongly')
  assert.ok(heard.live <= allocationCount, 'an allocation that nobody was told the end of')
  const codes = Object.values(responses)
  const answers = sum(codes.map((byCode) => sum(Object.values(byCode))))
  assert.equal(answers, heard.answers, 'answers are counted wrongly')
  const successes = sum(codes.map((byCode) => byCode[200] ?? 0))
  assert.equal(sum(Object.values(refusals)), answers - successes, 'refusals are counted wrongly')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
