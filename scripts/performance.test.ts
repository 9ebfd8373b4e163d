import assert from 'node:assert/strict'
import { test } from 'node:test'
import { merged, type Results } from '../test/bench/suite/results.ts'
import { filled } from './performance.ts'

const HEAD = { date: '2026-01-02', command: 'npm run bench -- all --only c' }
const NOTHING: Results = { machine: { cpu: 'a processor', cores: '2', coturn: '4.6.1' }, parts: {} }
const MARKED = 'before\n<!-- generated: measured -->\nold\n<!-- end of what is generated -->\nafter\n'

const cycles = (server: string, cyclesPerCpuSecond: number) => ({
  case: 'some',
  server,
  figures: { cyclesPerCpuSecond },
})

test('the tables are made of all runs, and show how each server does beside coturn', () => {
  let results = merged(NOTHING, 'cycles', HEAD, [cycles('ours', 10_000), cycles('coturn', 5_000)], false)
  results = merged(results, 'cycles', HEAD, [cycles('ours', 14_000)], true)
  results = merged(results, 'cycles', HEAD, [cycles('ours', 11_000)], true)
  const lines = filled(MARKED, results).split('\n')
  assert.deepEqual([lines[0], lines.at(-2)], ['before', 'after'])
  assert.ok(!lines.includes('old'))
  assert.ok(lines.includes('| some | ours | 10000 / 11000 / 14000 |  |  | 2.20 × | 3 |'))
  assert.ok(lines.includes('| some | coturn | 5000 / 5000 / 5000 |  |  |  | 1 |'))
  assert.match(lines[2]!, /^a processor, 2 cores, coturn 4\.6\.1\./)
})

test('what is measured anew replaces its cases and servers, and no others', () => {
  const before = merged(NOTHING, 'cycles', HEAD, [cycles('ours', 1), cycles('coturn', 2)], false)
  const { entries } = merged(before, 'cycles', HEAD, [cycles('ours', 3)], false).parts.cycles!
  assert.deepEqual(
    entries.map(({ server, runs }) => [server, runs]),
    [
      ['ours', [{ cyclesPerCpuSecond: 3 }]],
      ['coturn', [{ cyclesPerCpuSecond: 2 }]],
    ],
  )
})

test('a document without the markers is refused', () => {
  assert.throws(() => filled('no markers', NOTHING), /needs the lines/)
})
