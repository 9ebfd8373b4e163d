import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EXIT_CLEAN, EXIT_FORCED, Lifecycle } from './lifecycle.ts'

const at = (nowMs: number, allocations: number, connections = 0) => ({
  nowMs,
  allocations,
  connections,
  maxDrainMs: 1000,
  supervised: false,
})

test('a relay starts, serves, and drains and serves again as the operator directs', () => {
  const life = new Lifecycle()
  assert.equal(life.state(0), 'starting')
  life.markListening()
  assert.equal(life.state(3), 'serving')
  life.direct(true)
  assert.deepEqual([life.draining, life.state(3), life.state(0)], [true, 'draining', 'drained'])
  assert.equal(life.exitCode(at(0, 0)), undefined, 'a directive ends no process')
  life.direct(false)
  assert.deepEqual([life.draining, life.state(3)], [false, 'serving'])
})

test('a signal drains for good and ends the process with its last allocation', () => {
  const life = new Lifecycle()
  life.markListening()
  life.terminate(100)
  life.direct(false)
  assert.deepEqual([life.draining, life.state(2)], [true, 'draining'])
  assert.equal(life.exitCode(at(1099, 2)), undefined)
  assert.equal(life.exitCode(at(1099, 0)), EXIT_CLEAN)
})

test('a second signal or the longest drain ends it with allocations alive', () => {
  const [second, late] = [new Lifecycle(), new Lifecycle()]
  second.terminate(0)
  second.terminate(1)
  assert.equal(second.exitCode(at(1, 1)), EXIT_FORCED)
  late.terminate(0)
  assert.equal(late.exitCode(at(1000, 1)), EXIT_FORCED)
})

test('a relay without listeners ends with its last allocation, and when nobody who is connected makes one', () => {
  const life = new Lifecycle()
  life.markListening()
  life.handOver(100)
  assert.deepEqual([life.draining, life.state(2)], [false, 'draining'], 'who is connected is served')
  assert.equal(life.exitCode(at(1099, 2, 2)), undefined)
  assert.equal(life.exitCode(at(1099, 0, 1)), undefined, 'it may be about to make one')
  assert.equal(life.exitCode(at(1099, 0, 0)), EXIT_CLEAN)
  assert.equal(life.exitCode(at(60_100, 0, 1)), EXIT_CLEAN)
  assert.equal(life.exitCode(at(1100, 1, 1)), EXIT_FORCED)
})

test('a relay without listeners that has an operator is ended by it', () => {
  const life = new Lifecycle()
  life.handOver(100)
  assert.equal(life.exitCode({ ...at(90_000, 0), supervised: true }), undefined)
  life.terminate(90_000)
  assert.equal(life.exitCode({ ...at(90_000, 0), supervised: true }), EXIT_CLEAN)
})
