import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reference } from './reference.ts'

const rows = reference()
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))

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
