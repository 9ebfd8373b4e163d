import type { Measurement } from '../packets/measure.ts'
import { markdownTable, type Spread, spread, spreadText } from '../spread.ts'

/** One measurement with so many allocations in traffic. */
export interface Grown extends Measurement {
  readonly allocations: number
  readonly burst: number
}

/** One server under one load, over its runs. */
export interface GrownRow {
  readonly server: string
  readonly burst: number
  readonly allocations: number
  readonly cpuMicroseconds: Spread
  readonly lossShare: Spread
  /** By how much its median is above that with the fewest allocations: 0.2 is a fifth more. */
  readonly growth: number
}

/** Minimum, median and maximum of each server under each load, and how they grow. */
export function summarizeGrowth(measurements: readonly Grown[]): GrownRow[] {
  const of = <T>(field: (one: Grown) => T) => [...new Set(measurements.map(field))]
  return of(({ burst }) => burst).flatMap((burst) =>
    of(({ server }) => server).flatMap((server) => {
      const own = measurements.filter((one) => one.server === server && one.burst === burst)
      const counts = of(({ allocations }) => allocations).sort((a, b) => a - b)
      const cost = (allocations: number) =>
        spread(
          own.filter((one) => one.allocations === allocations).map((one) => one.cpuMicrosecondsPerPacket),
        )
      const first = cost(counts[0]!).median
      return counts.map((allocations) => ({
        server,
        burst,
        allocations,
        cpuMicroseconds: cost(allocations),
        lossShare: spread(own.filter((one) => one.allocations === allocations).map((one) => one.lossShare)),
        growth: cost(allocations).median / first - 1,
      }))
    }),
  )
}

/** The rows for a person, in Markdown. */
export function table(rows: readonly GrownRow[]): string {
  return markdownTable([
    ['bursts of', 'server', 'allocations', 'CPU µs per packet (min / median / max)', 'growth', 'loss'],
    ...rows.map(({ burst, server, allocations, cpuMicroseconds, growth, lossShare }) => [
      String(burst),
      server,
      String(allocations),
      spreadText(cpuMicroseconds, 2),
      `${growth < 0 ? '' : '+'}${(growth * 100).toFixed(0)} %`,
      `${(lossShare.median * 100).toFixed(2)} %`,
    ]),
  ])
}
