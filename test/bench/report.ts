/** One run of one server. */
export interface Measurement {
  readonly name: string
  readonly packetsPerSecond: number
  readonly packetsPerCpuSecond: number
  /** CPU seconds of the server per second. */
  readonly cpuShare: number
  readonly lostPackets: number
  readonly restingBytes: number
  readonly loadedBytes: number
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

export interface Summary {
  readonly servers: readonly {
    readonly name: string
    readonly packetsPerCpuSecond: Spread
    readonly packetsPerSecond: Spread
    readonly restingBytes: Spread
    readonly lostPackets: number
  }[]
  /** Of the medians of packets per CPU-second: the first server to the second. */
  readonly ratio: number
}

/** Minimum, median and maximum of each server over its runs. */
export function summarize(measurements: readonly Measurement[]): Summary {
  const names = [...new Set(measurements.map(({ name }) => name))]
  const servers = names.map((name) => {
    const own = measurements.filter((measurement) => measurement.name === name)
    return {
      name,
      packetsPerCpuSecond: spread(own.map(({ packetsPerCpuSecond }) => packetsPerCpuSecond)),
      packetsPerSecond: spread(own.map(({ packetsPerSecond }) => packetsPerSecond)),
      restingBytes: spread(own.map(({ restingBytes }) => restingBytes)),
      lostPackets: own.reduce((sum, { lostPackets }) => sum + lostPackets, 0),
    }
  })
  const [first, second] = servers
  const ratio =
    first && second ? first.packetsPerCpuSecond.median / second.packetsPerCpuSecond.median : Number.NaN
  return { servers, ratio }
}

/** The summary for a person. */
export function table({ servers, ratio }: Summary): string {
  const rows = [
    ['server', 'packets per CPU-second', 'packets per second', 'memory at rest', 'lost'],
    ['', 'min / median / max', 'min / median / max', 'median', ''],
    ...servers.map(({ name, packetsPerCpuSecond, packetsPerSecond, restingBytes, lostPackets }) => [
      name,
      spreadText(packetsPerCpuSecond),
      spreadText(packetsPerSecond),
      `${(restingBytes.median / 1e6).toFixed(1)} MB`,
      String(lostPackets),
    ]),
  ]
  const [first, second] = servers
  return [
    aligned(rows),
    '',
    `${first?.name} relays ${ratio.toFixed(2)} times the packets of ${second?.name} per CPU-second`,
  ].join('\n')
}

/** Rows as lines, their cells in columns. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return lines.join('\n')
}

/** Minimum, median and maximum. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { min: sorted[0]!, median, max: sorted.at(-1)! }
}

/** A spread for a person. */
export function spreadText({ min, median, max }: Spread): string {
  return [min, median, max].map((value) => Math.round(value).toLocaleString('en')).join(' / ')
}
