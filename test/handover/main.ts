import { parseArgs } from 'node:util'
import { runHandOvers } from './run.ts'

const LOST_SHARE_MAX = 0.0001

const { values } = parseArgs({
  options: {
    allocations: { type: 'string', default: '2000' },
    'packets-per-second': { type: 'string', default: '50' },
    workers: { type: 'string', default: '2,2,3,1' },
    'hand-overs': { type: 'string', default: '10' },
    'pause-ms': { type: 'string', default: '2000' },
  },
})

const report = await runHandOvers({
  allocations: Number(values.allocations),
  packetsPerSecond: Number(values['packets-per-second']),
  handOvers: Number(values['hand-overs']),
  workers: values.workers.split(',').map(Number),
  furtherAllocations: 16,
  newcomersEveryMs: 20,
  pauseMs: Number(values['pause-ms']),
})
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
const { lost, bufferDrops, sent, dead, allocations, expected, refused } = report
const whole = dead === 0 && allocations === expected && refused.length === 0
process.exitCode = whole && lost - bufferDrops <= sent * LOST_SHARE_MAX ? 0 : 1
