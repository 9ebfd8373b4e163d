import { compareServers } from '../compare.ts'
import type { Contender } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { withProgramStatistics } from '../program-statistics.ts'
import { measureAt } from './highest-rate.ts'
import type { Measurement } from './measure.ts'
import { type Load, type PacketsOptions, packetsOptions, USAGE } from './options.ts'
import { line, type Row, summarize, table } from './report.ts'

/** Compares servers by the CPU time that a relayed packet costs them, and by the rate they lose nothing at. */
export async function packets(args: string[]): Promise<void> {
  const options = packetsOptions(args)
  if (!options) {
    process.stdout.write(USAGE)
    return
  }
  const kernel = options.contenders.some(({ name }) => name === 'turnfleet kernel')
  let rows: Row[] = []
  await compareServers(options, async (network) => {
    const load = options.load(network)
    process.stdout.write(`${network.description}\n${inWords(load)}\n\n`)
    const run = () => alternate(options, network, load)
    const measurements = await (kernel ? withProgramStatistics(run) : run())
    rows = summarize(measurements)
    process.stdout.write(`\n${table(rows)}\n`)
    return { load, rows, measurements }
  })
  judge(rows, options)
}

/** One server after the other, again and again: what else the machine does meets them all. */
async function alternate(
  { contenders, rates, runs }: PacketsOptions,
  network: BenchNetwork,
  load: Load,
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (let run = 1; run <= runs; run++) {
    for (const rate of rates) {
      for (const contender of contenders) {
        const measurement = await measureAt(rate, contender, network, load)
        measurements.push(measurement)
        process.stdout.write(`run ${run}  ${line(measurement)}\n`)
      }
    }
  }
  return measurements
}

function judge(rows: readonly Row[], { contenders, failBelow }: PacketsOptions): void {
  const [first, second] = contenders
  if (failBelow === undefined || !first || !second) return
  for (const rate of new Set(rows.map(({ offered }) => offered))) {
    const cost = ({ name }: Contender) =>
      rows.find(({ server, offered }) => server === name && offered === rate)?.cpuMicroseconds.median ?? 0
    const ratio = cost(second) / cost(first)
    if (ratio >= failBelow) continue
    throw new Error(
      `${first.name} relays ${ratio.toFixed(2)} times the packets of ${second.name} per CPU-second at ${rate} a second; at least ${failBelow} is wanted`,
    )
  }
}

function inWords({ flows, payloadBytes, framing, direction, burst }: Load): string {
  return `${flows} flows of ${payloadBytes}-byte packets as ${framing}, direction ${direction}, bursts of ${burst}`
}
