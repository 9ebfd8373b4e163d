import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { linkMaps, readBpfObject } from './elf.ts'

const OBJECT = new URL('./turn.bpf.o', import.meta.url)

test('the object is read: one program, its license, and each map it names', () => {
  const object = readBpfObject(readFileSync(OBJECT), 'tcx/ingress')
  assert.equal(object.license, 'Apache-2.0')
  const maps = [...new Set(object.mapLoads.map(({ map }) => map))]
  assert.deepEqual(maps.toSorted(), [
    'allocations',
    'by_client',
    'by_number',
    'by_pair',
    'by_peer',
    'by_relay',
    'channels',
    'leases',
    'permissions',
    'scratches',
  ])
  const linked = linkMaps(object, Object.fromEntries(maps.map((map, i) => [map, 100 + i])))
  const { at, map } = object.mapLoads[0]!
  assert.equal(linked[at + 1]! >> 4, 1)
  assert.equal(linked[at + 4], 100 + maps.indexOf(map))
  assert.throws(() => linkMaps(object, {}), /names a map \w+ that is not made/)
})
