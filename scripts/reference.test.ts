import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DROP_REASONS } from '../relay/turn/drops.ts'
import { REFUSAL_REASONS } from '../relay/turn/refusals.ts'
import { reference } from './reference.ts'

const [fields = '', reasons = ''] = reference().split(/(?=## Why a request)/)
const rows = cellsOf(fields)

function cellsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
}

test('every field of the TurnCluster and of the configuration file has a type and a meaning', () => {
  assert.ok(rows.length > 120, `${rows.length} fields`)
  const poor = rows.filter(([, , type, , meaning]) => !type || !meaning?.match(/[.)]$/))
  assert.deepEqual(
    poor.map(([, field]) => field),
    [],
  )
})

test('defaults and bounds are told', () => {
  const row = (field: string) => rows.find(([, name]) => name === `\`${field}\``)
  assert.deepEqual(row('network.relayPorts.min')?.slice(2, 4), ['integer, 1…65535', '`49152`'])
  assert.equal(row('realm')?.[3], 'required')
})

test('every reason for a refusal and for a drop is told with what it means', () => {
  const told = cellsOf(reasons)
  for (const reason of [...REFUSAL_REASONS, ...DROP_REASONS])
    assert.ok(
      told.some(([, name, ...rest]) => name === `\`${reason}\`` && rest.some((cell) => cell.endsWith('.'))),
      reason,
    )
  assert.equal(told.find(([, name]) => name === '`peer-special`')?.[2], '403')
})
