import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TransportAddress } from './address.ts'
import { AddressMap, NOT_FOUND } from './address-map.ts'
import { formatAddress } from './address-text.ts'

const small = fc.nat(3)
const key = fc.record({
  scope: fc.constantFrom(0, 1, 2, 0xffffffff),
  v6: fc.boolean(),
  a: small,
  d: small,
  port: small,
})
type Key = typeof key extends fc.Arbitrary<infer T> ? T : never
const step = fc.tuple(key, fc.nat(1000), fc.constantFrom('set', 'delete', 'get'))

function addressOf(k: Key): TransportAddress {
  const address = new TransportAddress()
  return k.v6 ? address.set6(k.a, 0, 0, k.d, k.port) : address.set4(k.d, k.port)
}

test('it behaves as a Map, whatever is set and deleted', () => {
  const sizes = fc.integer({ min: 1, max: 80 })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), sizes, (steps, seed, most) => {
      const map = new AddressMap(most, seed)
      const model = new Map<string, number>()
      for (const [k, value, what] of steps) {
        if (what === 'set') setInBoth(map, model, k, value, most)
        if (what === 'delete') assert.equal(map.delete(k.scope, addressOf(k)), model.delete(textOf(k)))
        assert.equal(map.get(k.scope, addressOf(k)), model.get(textOf(k)) ?? NOT_FOUND)
        assert.equal(map.size, model.size)
      }
      for (const [k] of steps) assert.equal(map.get(k.scope, addressOf(k)), model.get(textOf(k)) ?? NOT_FOUND)
    }),
  )
})

function textOf(k: Key): string {
  return `${k.scope} ${formatAddress(addressOf(k))}`
}

function setInBoth(map: AddressMap, model: Map<string, number>, k: Key, value: number, most: number): void {
  const fits = model.has(textOf(k)) || model.size < most
  assert.equal(map.set(k.scope, addressOf(k), value), fits)
  if (fits) model.set(textOf(k), value)
}

test('thousands of entries come and go', () => {
  const map = new AddressMap(20_000, 7)
  const address = new TransportAddress()
  for (let i = 0; i < 20_000; i++) assert.ok(map.set(i % 3, address.set4(0x0a000000 + i, i & 0xffff), i))
  assert.equal(map.set(0, address.set4(1, 1), 1), false)
  for (let i = 0; i < 20_000; i += 2) assert.ok(map.delete(i % 3, address.set4(0x0a000000 + i, i & 0xffff)))
  for (let i = 0; i < 20_000; i++) {
    assert.equal(map.get(i % 3, address.set4(0x0a000000 + i, i & 0xffff)), i % 2 === 0 ? NOT_FOUND : i)
  }
  map.clear()
  assert.equal(map.size, 0)
  assert.equal(map.get(1, address.set4(0x0a000001, 1)), NOT_FOUND)
})

test('a port of its own choosing keys the map by IP alone', () => {
  const map = new AddressMap(8, 1)
  const address = new TransportAddress().set4(0xc0000201, 5000)
  map.set(4, address, 9, 0)
  assert.equal(map.get(4, new TransportAddress().set4(0xc0000201, 6000), 0), 9)
  assert.equal(map.get(4, address), NOT_FOUND)
})
