import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { address } from '../../test/support/turn-harness.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { RelayAddress } from './relay-ports.ts'

const RANGE = { min: 50_001, max: 50_016 }
const fresh = () => new RelayAddress(address('192.0.2.1:0'), address('192.0.2.1:0'))

/** Does one step on a relay address; `held` is what the model says is taken. */
const STEPS: Record<string, (relay: RelayAddress, held: Set<number>) => void> = {
  any: (relay, held) => take(held, relay.acquire(RANGE, nodeCrypto), 1),
  even: (relay, held) => take(held, relay.acquireEven(RANGE, false, nodeCrypto), 1, 2),
  pair: (relay, held) => take(held, relay.acquireEven(RANGE, true, nodeCrypto), 2, 2),
  free: (relay, held) => {
    const [port] = held
    if (port === undefined) return
    relay.release(port)
    held.delete(port)
  },
}

function take(held: Set<number>, first: number | undefined, count: number, multiple = 1): void {
  if (first === undefined) return
  assert.equal(first % multiple, 0)
  for (let port = first; port < first + count; port++) {
    assert.ok(!held.has(port) && port >= RANGE.min && port <= RANGE.max)
    held.add(port)
  }
}

test('a port is never handed out twice, every port is, and freed ones come back', () => {
  const step = fc.constantFrom(...Object.keys(STEPS))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const relay = fresh()
      const held = new Set<number>()
      for (const name of steps) STEPS[name]!(relay, held)
      while (held.size < 16) STEPS.any!(relay, held)
      assert.equal(relay.acquire(RANGE, nodeCrypto), undefined)
    }),
  )
})

test('CVE-2025-69217: ports are spread over the range, not counted', () => {
  const range = { min: 49_152, max: 65_535 }
  const ports = Array.from({ length: 64 }, () => fresh().acquire(range, nodeCrypto)!)
  assert.ok(new Set(ports).size > 50)
  assert.ok(Math.max(...ports) - Math.min(...ports) > 8_000)
})

test('machines that share a port map do not hand out the same port', () => {
  const map = new Uint8Array(new SharedArrayBuffer(65_536))
  const [a, b] = [0, 1].map(() => new RelayAddress(address('192.0.2.1:0'), address('192.0.2.1:0'), map)) as [
    RelayAddress,
    RelayAddress,
  ]
  const ports = Array.from({ length: 16 }, (_, i) => (i % 2 ? a : b).acquire(RANGE, nodeCrypto))
  assert.equal(new Set(ports).size, 16)
  assert.equal(a.acquire(RANGE, nodeCrypto), undefined)
})
