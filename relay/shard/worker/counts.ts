import { newIoCounters } from '../../io/io.ts'
import { TurnCounters } from '../../turn/counters.ts'
import { newLoopTimes } from '../loop-times.ts'
import { newTraffic } from '../traffic.ts'
import type { Counts } from './messages.ts'

type Numbers = { [name: string]: number | Numbers }

export function noCounts(): Counts {
  return {
    counters: new TurnCounters(),
    traffic: newTraffic(),
    io: newIoCounters(),
    loopTimes: newLoopTimes(),
  }
}

/** Adds up what several shards have counted. */
export function sumOf(counts: readonly Counts[]): Counts {
  const sum = noCounts()
  for (const one of counts) add(sum as unknown as Numbers, one as unknown as Numbers)
  return sum
}

function add(to: Numbers, from: Numbers): void {
  for (const [name, value] of Object.entries(from)) {
    const there = to[name]
    if (typeof value === 'number') to[name] = (typeof there === 'number' ? there : 0) + value
    else if (typeof there === 'object') add(there, value)
  }
}
