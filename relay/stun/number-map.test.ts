import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { NumberMap } from './number-map.ts'

const key = fc.oneof(fc.nat(40), fc.constantFrom(0, 2 ** 31 - 1, 65_536, 131_072), fc.nat(2 ** 31 - 1))
const step = fc.tuple(key, fc.constantFrom('set', 'set', 'delete'), fc.nat(9))

test('it behaves as a Map, whatever is set and deleted', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const map = new NumberMap<string>()
      const model = new Map<number, string>()
      for (const [number, what, text] of steps) {
        if (what === 'delete') assert.equal(map.delete(number), model.delete(number))
        else {
          map.set(number, `${text}`)
          model.set(number, `${text}`)
        }
        assert.equal(map.get(number), model.get(number))
        assert.equal(map.size, model.size)
      }
      for (const [number] of steps) assert.equal(map.get(number), model.get(number))
      assert.deepEqual(map.values().toSorted(), [...model.values()].toSorted())
    }),
  )
})

test('entries that come and go in thousands leave it as it was', () => {
  const map = new NumberMap<number>()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5000; i++) map.set(round * 10_000 + i * 4096, i)
    for (let i = 0; i < 5000; i++) assert.ok(map.delete(round * 10_000 + i * 4096))
  }
  assert.deepEqual([map.size, map.values()], [0, []])
  map.set(7, 7)
  map.clear()
  assert.deepEqual([map.size, map.get(7), map.values()], [0, undefined, []])
})
