import { markdownTable, type Spread, spread, spreadText } from '../spread.ts'
import type { Measurement } from './measure.ts'

/** One server at one rate, over its runs. */
export interface Row {
  readonly server: string
  readonly offered: Measurement['offeredPerSecond']
  readonly sentPerSecond: Spread
  readonly cpuMicroseconds: Spread
  readonly coreMicroseconds: Spread
  readonly lossShare: Spread
  readonly p50: Spread
  readonly p99: Spread
  readonly p999: Spread
}

const HEADINGS = [
  'offered/s',
  'server',
  'sent/s',
  'CPU µs per packet (min / median / max)',
  'core µs per packet',
  'loss',
  'p50 µs',
  'p99 µs',
  'p99.9 µs',
]

/** Minimum, median and maximum of each server at each rate. */
export function summarize(measurements: readonly Measurement[]): Row[] {
  const rates = [...new Set(measurements.map(({ offeredPerSecond }) => offeredPerSecond))]
  const servers = [...new Set(measurements.map(({ server }) => server))]
  return rates.flatMap((offered) =>
    servers.map((server) => {
      const own = measurements.filter((one) => one.server === server && one.offeredPerSecond === offered)
      const of = (figure: (one: Measurement) => number) => spread(own.map(figure))
      return {
        server,
        offered,
        sentPerSecond: of((one) => one.sentPerSecond),
        cpuMicroseconds: of((one) => one.cpuMicrosecondsPerPacket),
        coreMicroseconds: of((one) => one.coreMicrosecondsPerPacket),
        lossShare: of((one) => one.lossShare),
        p50: of(({ latency }) => latency.p50),
        p99: of(({ latency }) => latency.p99),
        p999: of(({ latency }) => latency.p999),
      }
    }),
  )
}

/** The rows for a person, in Markdown. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    String(row.offered),
    row.server,
    String(Math.round(row.sentPerSecond.median)),
    spreadText(row.cpuMicroseconds, 2),
    spreadText(row.coreMicroseconds, 2),
    `${(row.lossShare.median * 100).toFixed(2)} %`,
    ...[row.p50, row.p99, row.p999].map(({ median }) => median.toFixed(0)),
  ])
  return markdownTable([HEADINGS, ...cells])
}

/** One measurement as it comes. */
export function line(measurement: Measurement): string {
  const { server, sentPerSecond, cpuMicrosecondsPerPacket, coreMicrosecondsPerPacket, lossShare, latency } =
    measurement
  return [
    server.padEnd(18),
    `${Math.round(sentPerSecond)} packets/s`.padStart(18),
    `${cpuMicrosecondsPerPacket.toFixed(2)} µs of CPU each`.padStart(22),
    `core ${coreMicrosecondsPerPacket.toFixed(2)} µs`.padStart(14),
    `${(lossShare * 100).toFixed(2)} % lost`.padStart(13),
    `p50 ${latency.p50.toFixed(0)} µs`.padStart(12),
  ].join('')
}
