import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CheckOutcome, type CheckTarget, RelayChecks } from './relay-checks.ts'

const KEY = 'turn/public'

function harness(limits = {}) {
  const clock = { nowMs: 0 }
  const calls: { target: CheckTarget; signal: AbortSignal; end(passed: boolean): void }[] = []
  const ends: string[] = []
  const waiters: (() => void)[] = []
  const checker = (target: CheckTarget, signal: AbortSignal) =>
    new Promise<CheckOutcome>((resolve) => {
      calls.push({ target, signal, end: (passed) => resolve({ passed, message: passed ? 'ok' : 'no echo' }) })
    })
  const onEnd = (key: string) => {
    ends.push(key)
    for (const wake of waiters.splice(0)) wake()
  }
  const checks = new RelayChecks({ checker, nowMs: () => clock.nowMs, onEnd, limits })
  const nextEnd = () => new Promise<void>((resolve) => waiters.push(resolve))
  const end = async (index: number, passed: boolean) => {
    const ended = nextEnd()
    calls[index]?.end(passed)
    await ended
  }
  return { clock, calls, ends, checks, end, nextEnd }
}

test('a check runs once, and its result is kept with the address it is about', async () => {
  const { checks, calls, ends, end } = harness()
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  assert.equal(calls.length, 1)
  assert.equal(checks.results(KEY).get('u1')?.state, 'running')
  await end(0, true)
  assert.deepEqual(checks.results(KEY).get('u1'), {
    state: 'passed',
    atMs: 0,
    address: '203.0.113.10',
    message: 'ok',
  })
  assert.deepEqual(ends, [KEY])
})

test('another address aborts the running check and begins anew', async () => {
  const { checks, calls, end } = harness()
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.11' })
  assert.equal(calls[0]?.signal.aborted, true)
  calls[0]?.end(true)
  await end(1, false)
  assert.equal(checks.results(KEY).get('u1')?.address, '203.0.113.11')
  assert.equal(checks.results(KEY).get('u1')?.state, 'failed')
})

test('a failed check is repeated no sooner than its spacing and shows its failure meanwhile', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { checks, calls, end } = harness({ spacingMs: 3000, timeoutMs: 60_000 })
  const target = { key: KEY, uid: 'u1', address: '203.0.113.10' }
  checks.start(target)
  await end(0, false)
  checks.start(target)
  checks.start(target)
  t.mock.timers.tick(2999)
  assert.equal(calls.length, 1)
  assert.equal(checks.results(KEY).get('u1')?.state, 'failed')
  t.mock.timers.tick(1)
  assert.equal(calls.length, 2)
})

test('no more checks run at a time than allowed, the rest wait', async () => {
  const { checks, calls, end } = harness({ parallel: 2 })
  for (const uid of ['a', 'b', 'c']) checks.start({ key: KEY, uid, address: '203.0.113.10' })
  assert.deepEqual(
    calls.map(({ target }) => target.uid),
    ['a', 'b'],
  )
  await end(0, true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    calls.map(({ target }) => target.uid),
    ['a', 'b', 'c'],
  )
})

test('a checker that hangs or throws is a failed check', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { checks, calls, nextEnd } = harness({ timeoutMs: 10 })
  const hung = nextEnd()
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  t.mock.timers.tick(10)
  await hung
  assert.match(checks.results(KEY).get('u1')?.message ?? '', /no result within/)
  assert.equal(calls[0]?.signal.aborted, true)
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const throwing = new RelayChecks({
    checker: () => Promise.reject(new Error('connect refused')),
    nowMs: () => 0,
    onEnd: () => end(),
  })
  throwing.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  await ended
  assert.equal(throwing.results(KEY).get('u1')?.message, 'connect refused')
})

test('a forgotten relay is aborted and its late result changes nothing', async () => {
  const { checks, calls, ends } = harness()
  checks.start({ key: KEY, uid: 'u1', address: '203.0.113.10' })
  checks.forget(KEY)
  assert.equal(calls[0]?.signal.aborted, true)
  calls[0]?.end(true)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(ends, [])
  assert.equal(checks.results(KEY).size, 0)
})
