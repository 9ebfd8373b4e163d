import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aggregateNetworks } from './aggregate-networks.ts'

const CASES: readonly [name: string, cidrs: string[], aggregated: string[]][] = [
  ['halves become one', ['10.244.1.0/24', '10.244.0.0/24'], ['10.244.0.0/23']],
  [
    'all nodes of a block become the block',
    Array.from({ length: 256 }, (_, i) => `10.244.${i}.0/24`),
    ['10.244.0.0/16'],
  ],
  ['neighbours that are no halves stay', ['10.0.1.0/24', '10.0.2.0/24'], ['10.0.1.0/24', '10.0.2.0/24']],
  ['what lies in another one goes', ['10.0.0.0/8', '10.1.2.0/24', '10.0.0.0/8'], ['10.0.0.0/8']],
  ['an address is a block', ['10.96.0.1'], ['10.96.0.1/32']],
  [
    'both families',
    ['fd00:10:244:1::/64', '10.0.0.0/8', 'fd00:10:244::/64'],
    ['10.0.0.0/8', 'fd00:10:244:0:0:0:0:0/63'],
  ],
  ['the whole', ['0.0.0.0/1', '128.0.0.0/1'], ['0.0.0.0/0']],
  ['what is none is left out', ['', 'x', '10.0.0.0/33', '1:2/64', '1::2::3/64', '10.0.0/8'], []],
]
for (const [name, cidrs, aggregated] of CASES) {
  test(`networks: ${name}`, () => assert.deepEqual(aggregateNetworks(cidrs), aggregated))
}
