import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { CONTENDERS } from '../contenders.ts'
import { benchNetwork } from '../network.ts'
import { namedContenders, oneOf, wholeNumber } from '../options.ts'
import { requirePrograms } from '../programs.ts'
import { markdownTable, spread, spreadText } from '../spread.ts'
import { measureStreams, type StreamsMeasurement } from './measure.ts'

const USAGE = `usage: npm run bench -- streams [options]

  --servers LIST    compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,coturn)
  --transports LIST of tcp, tls (tcp,tls)
  --runs N          of each server over each transport (3)
  --seconds S       of each measurement (3)
  --flows N         allocations with traffic (16)
  --window N        packets of a flow under way at any time (4)
  --bytes N         payload, a multiple of 4 (160)
  --json FILE       all measurements
`

/** Compares servers by the packets that they relay between streams and UDP peers in a second of CPU time. */
export async function streams(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,coturn' },
      transports: { type: 'string', default: 'tcp,tls' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      flows: { type: 'string', default: '16' },
      window: { type: 'string', default: '4' },
      bytes: { type: 'string', default: '160' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  requirePrograms('turnserver', 'taskset', 'ip')
  const contenders = namedContenders(values.servers)
  const transports = values.transports
    .split(',')
    .map((text) => oneOf('transports', text, ['tcp', 'tls'] as const))
  const load = {
    seconds: wholeNumber('seconds', values.seconds),
    flows: wholeNumber('flows', values.flows),
    window: wholeNumber('window', values.window),
    payloadBytes: wholeNumber('bytes', values.bytes),
  }
  const runs = wholeNumber('runs', values.runs)
  const { cert, key } = await selfSigned('bench.example.org')
  const network = benchNetwork()
  try {
    const { flows, window, payloadBytes } = load
    process.stdout.write(
      `${network.description}\n${flows} flows, ${window} packets of ${payloadBytes} bytes under way in each\n\n`,
    )
    const measurements: StreamsMeasurement[] = []
    for (let run = 1; run <= runs; run++) {
      for (const transport of transports) {
        for (const contender of contenders) {
          const measurement = await measureStreams(contender, network, { transport, cert, key }, load)
          measurements.push(measurement)
          process.stdout.write(`run ${run}  ${line(measurement)}\n`)
        }
      }
    }
    process.stdout.write(`\n${table(measurements)}\n`)
    if (values.json)
      writeFileSync(
        values.json,
        `${JSON.stringify({ description: network.description, load, measurements }, null, 2)}\n`,
      )
  } finally {
    network.remove()
  }
}

function line({ server, transport, packetsPerSecond, packetsPerCpuSecond, cpuShare }: StreamsMeasurement) {
  const [rate, cost] = [packetsPerSecond, packetsPerCpuSecond].map(Math.round)
  return `${transport} ${server.padEnd(18)} ${rate} packets/s, ${cost} per CPU-second, ${Math.round(cpuShare * 100)} % CPU`
}

function table(measurements: readonly StreamsMeasurement[]): string {
  const kinds = [...new Set(measurements.map(({ transport, server }) => `${transport} ${server}`))].toSorted()
  return markdownTable([
    ['transport and server', 'packets per CPU-second (min / median / max)', 'packets per second'],
    ...kinds.map((kind) => {
      const own = measurements.filter(({ transport, server }) => `${transport} ${server}` === kind)
      return [
        kind,
        spreadText(spread(own.map(({ packetsPerCpuSecond }) => packetsPerCpuSecond))),
        spreadText(spread(own.map(({ packetsPerSecond }) => packetsPerSecond))),
      ]
    }),
  ])
}
