import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../../test/cluster/virtual-clock.ts'
import { WorkQueue, type WorkQueueOptions } from './work-queue.ts'

function setUp(process: WorkQueueOptions['process'], options: Partial<WorkQueueOptions> = {}) {
  const clock = new VirtualClock()
  const queue = new WorkQueue({ process, clock, random: () => 1, ...options })
  queue.start()
  return { clock, queue }
}

test('a key that is added many times while it waits gets one turn', async () => {
  const turns: string[] = []
  const clock = new VirtualClock()
  const queue = new WorkQueue({ process: async (key) => void turns.push(key), clock, random: () => 1 })
  for (const key of ['a', 'b', 'a', 'a', 'b']) queue.add(key)
  assert.equal(queue.state().depth, 2)
  queue.start()
  await clock.advance(0)
  assert.deepEqual(turns, ['a', 'b'])
})

test('a key never has two turns at once, and one more when it was added during its turn', async () => {
  let running = 0
  let turns = 0
  const ends: (() => void)[] = []
  const { clock, queue } = setUp(async () => {
    assert.equal(++running, 1)
    turns += 1
    await new Promise<void>((resolve) => ends.push(resolve))
    running -= 1
    return undefined
  })
  queue.add('a')
  for (let i = 0; i < 5; i++) queue.add('a')
  await clock.advance(0)
  assert.equal(turns, 1)
  ends.shift()!()
  await clock.advance(0)
  assert.equal(turns, 2)
  ends.shift()!()
  await clock.advance(1000)
  assert.equal(turns, 2)
})

test('a failing key backs off twice as long each time, and starts anew after a success', async () => {
  const at: number[] = []
  let fails = true
  const { clock, queue } = setUp(async () => {
    at.push(clock.nowMs())
    if (fails) throw new Error('no')
    return undefined
  })
  queue.add('a')
  await clock.advance(800)
  assert.deepEqual(at, [0, 50, 150, 350, 750])
  fails = false
  await clock.advance(800)
  assert.equal(at.length, 6)
  fails = true
  at.length = 0
  const nowMs = clock.nowMs()
  queue.add('a')
  await clock.advance(60)
  assert.deepEqual(at, [nowMs, nowMs + 50])
})

test('a failing key does not hold up another', async () => {
  const turns: string[] = []
  const { clock, queue } = setUp(
    async (key) => {
      turns.push(key)
      if (key === 'bad') throw new Error('no')
      return undefined
    },
    { concurrency: 1 },
  )
  queue.add('bad')
  queue.add('good')
  await clock.advance(10)
  assert.deepEqual(turns, ['bad', 'good'])
})

test('of several delays the shortest counts, and an immediate add outruns them', async () => {
  const at: number[] = []
  const { clock, queue } = setUp(async () => void at.push(clock.nowMs()))
  queue.addAfter('a', 500)
  queue.addAfter('a', 100)
  queue.addAfter('a', 300)
  await clock.advance(1000)
  assert.deepEqual(at, [100])
  queue.addAfter('a', 500)
  queue.add('a')
  await clock.advance(1000)
  assert.deepEqual(at, [100, 1000])
})

test('one budget bounds the turns of all keys together', async () => {
  let turns = 0
  const { clock, queue } = setUp(async () => void turns++, { ratePerSecond: 10, burst: 5, concurrency: 100 })
  for (let i = 0; i < 100; i++) queue.add(`key-${i}`)
  await clock.advance(0)
  assert.equal(turns, 5)
  await clock.advance(2000)
  assert.ok(turns >= 24 && turns <= 26, `${turns} turns`)
  assert.equal(queue.state().depth, 100 - turns)
  assert.equal(queue.state().oldestMs, 2000)
})

test('stop waits for the turns that run and starts no other', async () => {
  const ends: (() => void)[] = []
  let turns = 0
  const { clock, queue } = setUp(
    async () => {
      turns += 1
      await new Promise<void>((resolve) => ends.push(resolve))
      return { requeueAfterMs: 1 }
    },
    { concurrency: 1 },
  )
  queue.add('a')
  queue.add('b')
  let stopped = false
  const stopping = queue.stop().then(() => (stopped = true))
  await clock.advance(10)
  assert.equal(stopped, false)
  ends.shift()!()
  await stopping
  await clock.advance(1000)
  assert.equal(turns, 1)
})
