import type { BenchNetwork } from '../network.ts'
import { measureAt } from '../packets/highest-rate.ts'
import type { Measurement } from '../packets/measure.ts'
import { line, type Row, summarize, table } from '../packets/report.ts'
import type { StreamsOptions } from './options.ts'

interface Results {
  readonly load: object
  readonly rows: readonly Row[]
  readonly measurements: readonly Measurement[]
}

/** One server over one transport after the other, at each rate; each goes by both its names in what comes of it. */
export async function compareOffered(
  options: StreamsOptions,
  network: BenchNetwork,
  certificate: { readonly cert: string; readonly key: string },
): Promise<Results> {
  const { contenders, transports, rates = [], runs } = options
  const load = options.load(network)
  const { flows, payloadBytes, framing, direction, burst } = load
  process.stdout.write(
    `${flows} flows of ${payloadBytes}-byte packets as ${framing}, direction ${direction}, bursts of ${burst}\n\n`,
  )
  const measurements: Measurement[] = []
  for (let run = 1; run <= runs; run++) {
    for (const rate of rates) {
      for (const transport of transports) {
        for (const contender of contenders) {
          const access = { transport, ...certificate }
          const measured = await measureAt(rate, contender, network, { ...load, transport }, access)
          const measurement = { ...measured, server: `${transport} ${measured.server}` }
          measurements.push(measurement)
          process.stdout.write(`run ${run}  ${line(measurement)}\n`)
        }
      }
    }
  }
  const rows = summarize(measurements)
  process.stdout.write(`\n${table(rows)}\n`)
  return { load, rows, measurements }
}
