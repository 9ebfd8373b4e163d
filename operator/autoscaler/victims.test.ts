import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Candidate, pickVictims } from './victims.ts'

const relay = (name: string, changes: Partial<Candidate> = {}): Candidate => ({
  name,
  nodeLeaving: false,
  current: true,
  ready: true,
  allocations: 10,
  createdAtMs: 0,
  ...changes,
})

const names = (candidates: Candidate[], count = candidates.length) =>
  pickVictims(candidates, count).map(({ name }) => name)

test('node leaving, then old revision, then not ready, then zone surplus, then fewest allocations, then youngest', () => {
  const candidates = [
    relay('old-and-full', { zone: 'b', createdAtMs: 1 }),
    relay('young-and-full', { zone: 'b', createdAtMs: 2 }),
    relay('empty', { zone: 'b', allocations: 0 }),
    relay('starting', { zone: 'c', ready: false, allocations: 50 }),
    relay('outdated', { zone: 'c', current: false, allocations: 99 }),
    relay('leaving', { zone: 'c', nodeLeaving: true, allocations: 99 }),
  ]
  assert.deepEqual(names(candidates), [
    'leaving',
    'outdated',
    'starting',
    'empty',
    'young-and-full',
    'old-and-full',
  ])
})

test('zones are weighed anew after each, so that they end up even', () => {
  const candidates = [
    relay('a1', { zone: 'a', allocations: 1 }),
    relay('a2', { zone: 'a', allocations: 2 }),
    relay('a3', { zone: 'a', allocations: 3 }),
    relay('b1', { zone: 'b', allocations: 0 }),
  ]
  assert.deepEqual(names(candidates, 2), ['a1', 'a2'])
})

test('an unknown load counts as more than any known one', () => {
  assert.deepEqual(
    names([relay('unknown', { allocations: undefined }), relay('full', { allocations: 4000 })]),
    ['full', 'unknown'],
  )
})

test('the order does not depend on that of the input', () => {
  const candidates = ['a', 'b', 'c', 'd'].map((name) => relay(name))
  assert.deepEqual(names([...candidates].reverse()), names(candidates))
})
