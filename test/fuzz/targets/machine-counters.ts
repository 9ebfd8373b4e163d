import assert from 'node:assert/strict'
import type { TurnServer } from '../../../relay/turn/server.ts'
import { LIMITS } from './machine-settings.ts'

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

/** No limit is passed, and no socket is without an allocation; returns a name of how much the server holds. */
export function checkLimits(server: TurnServer, bound: number, binding: number): string {
  const { allocationCount, permissionCount, channelCount, reservationCount, peerConnectionCount } = server
  assert.ok(allocationCount + reservationCount <= LIMITS.allocations, 'too many allocations')
  assert.ok(permissionCount <= allocationCount * LIMITS.permissionsPerAllocation, 'too many permissions')
  assert.ok(channelCount <= allocationCount * LIMITS.channelsPerAllocation, 'too many channels')
  assert.ok(peerConnectionCount <= LIMITS.peerConnections, 'too many connections')
  assert.ok(bound + binding <= 2 * allocationCount, 'a socket without an allocation')
  return [allocationCount, permissionCount, channelCount, peerConnectionCount, binding > 0].join()
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
