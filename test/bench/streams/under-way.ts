import type { BenchNetwork } from '../network.ts'
import { markdownTable, spread, spreadText } from '../spread.ts'
import { measureStreams, type StreamsMeasurement } from './measure.ts'
import type { StreamsOptions } from './options.ts'

interface Results {
  readonly load: object
  readonly measurements: readonly StreamsMeasurement[]
}

/** One server over one transport after the other, with each number of packets under way. */
export async function compareUnderWay(
  { contenders, transports, windows, runs, flows, payloadBytes, seconds }: StreamsOptions,
  network: BenchNetwork,
  certificate: { readonly cert: string; readonly key: string },
): Promise<Results> {
  const load = { flows, payloadBytes, seconds }
  process.stdout.write(`${flows} flows of ${payloadBytes}-byte packets\n\n`)
  const measurements: StreamsMeasurement[] = []
  for (let run = 1; run <= runs; run++) {
    for (const window of windows) {
      for (const transport of transports) {
        for (const contender of contenders) {
          const access = { transport, ...certificate }
          const measurement = await measureStreams(contender, network, access, { ...load, window })
          measurements.push(measurement)
          process.stdout.write(`run ${run}  ${line(measurement)}\n`)
        }
      }
    }
  }
  process.stdout.write(`\n${table(measurements)}\n`)
  return { load, measurements }
}

function line(measurement: StreamsMeasurement): string {
  const { server, transport, window, packetsPerSecond, packetsPerCpuSecond, cpuShare } = measurement
  const [rate, cost] = [packetsPerSecond, packetsPerCpuSecond].map(Math.round)
  return `${transport} ${server.padEnd(18)} ${window} under way: ${rate} packets/s, ${cost} per CPU-second, ${Math.round(cpuShare * 100)} % CPU`
}

function table(measurements: readonly StreamsMeasurement[]): string {
  const kinds = Map.groupBy(measurements, (one) => `${one.transport} ${one.window} ${one.server}`)
  return markdownTable([
    [
      'transport',
      'under way',
      'server',
      'packets per CPU-second (min / median / max)',
      'packets per second (min / median / max)',
    ],
    ...[...kinds.values()].map((own) => [
      own[0]!.transport,
      String(own[0]!.window),
      own[0]!.server,
      spreadText(spread(own.map(({ packetsPerCpuSecond }) => packetsPerCpuSecond))),
      spreadText(spread(own.map(({ packetsPerSecond }) => packetsPerSecond))),
    ]),
  ])
}
