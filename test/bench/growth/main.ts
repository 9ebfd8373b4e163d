import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { CONTENDERS, type Contender, CREDENTIAL, PORT } from '../contenders.ts'
import { type BenchNetwork, benchNetwork } from '../network.ts'
import { namedContenders, wholeNumber } from '../options.ts'
import type { LoadOptions } from '../packets/load-options.ts'
import { type Measurement, measure } from '../packets/measure.ts'
import { line } from '../packets/report.ts'
import { requirePrograms } from '../programs.ts'
import { type Grown, type GrownRow, summarizeGrowth, table } from './report.ts'

const USAGE = `usage: npm run bench -- growth [options]

  --servers LIST       compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,batched-2,coturn)
  --allocations LIST   all of them in traffic (100,1000,10000)
  --bursts LIST        packets of one flow that leave together (1,4)
  --rate N             packets per second over all flows (60000)
  --runs N             of each (3)
  --seconds S          of each measurement (2)
  --json FILE          all measurements
`
/** Peers at most: beyond it flows share one, as a process may not open sockets without end. */
const PEERS_MAX = 1_000

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
  requirePrograms('turnserver', 'taskset', 'ip')
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
  const network = benchNetwork()
  try {
    process.stdout.write(
      `${network.description}\nChannelData of ${PAYLOAD_BYTES} bytes both ways, ${plan.packetsPerSecond} packets per second\n\n`,
    )
    const measurements = await measureAll(plan, network)
    const rows: GrownRow[] = summarizeGrowth(measurements)
    process.stdout.write(`\n${table(rows)}\n`)
    if (!values.json) return
    const report = { description: network.description, rows, measurements }
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  } finally {
    network.remove()
  }
}

interface Plan {
  readonly contenders: readonly Contender[]
  readonly allocations: readonly number[]
  readonly bursts: readonly number[]
  readonly packetsPerSecond: number
  readonly seconds: number
  readonly runs: number
}

const PAYLOAD_BYTES = 160

/** One server after the other, again and again: what else the machine does meets them all. */
async function measureAll(plan: Plan, network: BenchNetwork): Promise<Grown[]> {
  const measurements: Grown[] = []
  for (let run = 1; run <= plan.runs; run++) {
    for (const burst of plan.bursts) {
      for (const allocations of plan.allocations) {
        for (const contender of plan.contenders) {
          const load = loadOf(plan, network, allocations, burst)
          const measurement: Measurement = await measure(contender, network, load)
          measurements.push({ ...measurement, allocations, burst })
          process.stdout.write(`run ${run}  ${allocations} by ${burst}  ${line(measurement)}\n`)
        }
      }
    }
  }
  return measurements
}

function loadOf(plan: Plan, network: BenchNetwork, flows: number, burst: number): LoadOptions {
  return {
    server: { address: network.serverAddress, port: PORT },
    local: network.generatorAddress,
    transport: 'udp',
    username: CREDENTIAL.username,
    password: CREDENTIAL.password,
    flows,
    peers: Math.min(flows, PEERS_MAX),
    framing: 'channel',
    direction: 'both',
    payloadBytes: PAYLOAD_BYTES,
    burst,
    packetsPerSecond: plan.packetsPerSecond,
    warmUpSeconds: 1,
    seconds: plan.seconds,
  }
}
