import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Pace } from './pace.ts'

const START = 1000
/** When 2,000 turns of 2 messages at 100,000 a second have ended. */
const END = START + 40

/** Turns of 10 µs of work at a steady rate; returns the rests of the last ones, in milliseconds. */
function restsAt(perSecond: number, perTurn: number, pace = new Pace()): number[] {
  const rests: number[] = []
  let now = START
  for (let turn = 0; turn < 2000; turn++) {
    rests.push(pace.restMs(perTurn, now, now + 0.01))
    now += (perTurn / perSecond) * 1000
  }
  return rests.slice(-100)
}

describe('Pace', () => {
  it('lets nothing wait at 20,000 messages a second', () => {
    assert.deepEqual(new Set(restsAt(20_000, 1)), new Set([0]))
  })

  it('gathers 16 messages at 200,000 a second', () => {
    for (const rest of restsAt(200_000, 4)) assert.ok(Math.abs(rest - 0.07) < 0.001, `${rest} ms`)
  })

  it('lets no message wait longer than 0.1 ms', () => {
    for (const rest of restsAt(41_000, 2)) assert.ok(Math.abs(rest - 0.09) < 0.001, `${rest} ms`)
  })

  it('gathers for a shorter time where messages come faster', () => {
    for (const rest of restsAt(400_000, 8)) assert.ok(Math.abs(rest - 0.03) < 0.001, `${rest} ms`)
  })

  it('does not rest where a turn takes as long as messages may wait', () => {
    const pace = new Pace()
    restsAt(100_000, 2, pace)
    assert.equal(pace.restMs(64, END, END + 0.15), 0)
  })

  it('does not rest after a turn without messages', () => {
    const pace = new Pace()
    restsAt(100_000, 2, pace)
    assert.equal(pace.restMs(0, END, END), 0)
  })

  it('ends when the load ends', () => {
    const pace = new Pace()
    restsAt(100_000, 2, pace)
    assert.deepEqual(new Set(restsAt(1000, 1, pace)), new Set([0]))
  })
})
