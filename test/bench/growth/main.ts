import { parseArgs } from 'node:util'
import { compareServers } from '../compare.ts'
import { CONTENDERS, type Contender } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { namedContenders, wholeNumber } from '../options.ts'
import { measure } from '../packets/measure.ts'
import { line } from '../packets/report.ts'
import { growthLoad } from './load.ts'
import { type Grown, summarizeGrowth, table } from './report.ts'

const USAGE = `usage: npm run bench -- growth [options]

  --servers LIST       compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,batched-2,coturn)
  --allocations LIST   all of them in traffic (100,1000,10000)
  --bursts LIST        packets of one flow that leave together (1,4)
  --rate N             packets per second over all flows (60000)
  --runs N             of each (3)
  --seconds S          of each measurement (2)
  --json FILE          all measurements
`
/** How the CPU time of a packet grows with the allocations that the same packets are spread over. */
export async function growth(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,batched-2,coturn' },
      allocations: { type: 'string', default: '100,1000,10000' },
      bursts: { type: 'string', default: '1,4' },
      rate: { type: 'string', default: '60000' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const numbers = (name: 'allocations' | 'bursts') =>
    values[name].split(',').map((text) => wholeNumber(name, text))
  const plan: Plan = {
    contenders: namedContenders(values.servers),
    allocations: numbers('allocations'),
    bursts: numbers('bursts'),
    packetsPerSecond: wholeNumber('rate', values.rate),
    seconds: wholeNumber('seconds', values.seconds),
    runs: wholeNumber('runs', values.runs),
  }
  await compareServers(values, async (network) => {
    process.stdout.write(`${network.description}\n${plan.packetsPerSecond} packets per second\n\n`)
    const measurements = await measureAll(plan, network)
    const rows = summarizeGrowth(measurements)
    process.stdout.write(`\n${table(rows)}\n`)
    return { rows, measurements }
  })
}

interface Plan {
  readonly contenders: readonly Contender[]
  readonly allocations: readonly number[]
  readonly bursts: readonly number[]
  readonly packetsPerSecond: number
  readonly seconds: number
  readonly runs: number
}

/** One server after the other, again and again: what else the machine does meets them all. */
async function measureAll(plan: Plan, network: BenchNetwork): Promise<Grown[]> {
  const { packetsPerSecond, seconds } = plan
  const measurements: Grown[] = []
  for (let run = 1; run <= plan.runs; run++) {
    for (const burst of plan.bursts) {
      for (const allocations of plan.allocations) {
        for (const contender of plan.contenders) {
          const load = growthLoad(network, allocations, burst)
          const measurement = await measure(contender, network, { ...load, packetsPerSecond, seconds })
          measurements.push({ ...measurement, allocations, burst })
          process.stdout.write(`run ${run}  ${allocations} by ${burst}  ${line(measurement)}\n`)
        }
      }
    }
  }
  return measurements
}
