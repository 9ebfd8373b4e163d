import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { TurnHarness } from '../../test/support/turn-harness.ts'

const ALLOCATIONS = 4000
const BYTES_MAX = 2048

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('an allocation with a permission and a channel takes 2 KiB of heap at most, and gives it back', (t) => {
  const harness = new TurnHarness({
    limits: {
      allocations: 65_536,
      allocationsPerUser: 65_536,
      unauthenticatedResponsesPerSecond: 1_000_000,
      unauthenticatedResponsesPerSecondPerAddress: 0,
    },
    relay: { addresses: [{ advertise: '192.0.2.1' }], ports: { min: 20_000, max: 65_535 } },
  })
  const open = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const client = harness.client(`198.51.100.7:${1000 + i}`)
      client.allocate()
      client.bind(0x4000, '8.8.8.8:5000')
      harness.heard = []
      harness.events = []
    }
  }
  const heapBytes = () => {
    harness.bound.clear()
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  open(0, 500)
  const before = heapBytes()
  open(500, 500 + ALLOCATIONS)
  const each = (heapBytes() - before) / ALLOCATIONS
  harness.server.closeAll('shutdown', harness.now)
  harness.drain()
  harness.events = []
  const kept = (heapBytes() - before) / ALLOCATIONS
  t.diagnostic(`${each.toFixed(0)} bytes of heap an allocation, ${kept.toFixed(0)} kept after its end`)
  assert.equal(harness.server.allocationCount, 0)
  assert.ok(each <= BYTES_MAX, `${each} bytes an allocation`)
  assert.ok(kept <= BYTES_MAX / 4, `${kept} bytes are kept`)
})
