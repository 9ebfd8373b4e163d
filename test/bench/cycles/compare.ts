import type { Contender } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { markdownTable, spread, spreadText } from '../spread.ts'
import { type CyclesMeasurement, measureCycles } from './measure.ts'

export interface CyclesLoad {
  readonly runs: number
  readonly seconds: number
  /** Allocations that live at any time. */
  readonly concurrent: number
}

/** Runs the servers alternately and prints how many allocations each makes and ends in a second of CPU time. */
export async function compareCycles(
  contenders: readonly Contender[],
  network: BenchNetwork,
  load: CyclesLoad,
): Promise<readonly CyclesMeasurement[]> {
  const measurements: CyclesMeasurement[] = []
  process.stdout.write(`${load.concurrent} allocations at a time\n\n`)
  for (let run = 1; run <= load.runs; run++) {
    for (const contender of contenders) {
      const measurement = await measureCycles(contender, network, load)
      measurements.push(measurement)
      const { name, cyclesPerSecond, cyclesPerCpuSecond, failed } = measurement
      const [rate, cost] = [cyclesPerSecond, cyclesPerCpuSecond].map(Math.round)
      process.stdout.write(
        `run ${run} ${name.padEnd(10)} ${rate} cycles/s, ${cost} per CPU-second, ${failed} failed\n`,
      )
    }
  }
  process.stdout.write(`\n${table(measurements)}\n`)
  return measurements
}

function table(measurements: readonly CyclesMeasurement[]): string {
  const names = [...new Set(measurements.map(({ name }) => name))]
  return markdownTable([
    ['server', 'cycles per CPU-second (min / median / max)', 'cycles per second', 'memory after', 'failed'],
    ...names.map((name) => {
      const own = measurements.filter((measurement) => measurement.name === name)
      return [
        name,
        spreadText(spread(own.map(({ cyclesPerCpuSecond }) => cyclesPerCpuSecond))),
        spreadText(spread(own.map(({ cyclesPerSecond }) => cyclesPerSecond))),
        `${(spread(own.map(({ residentBytes }) => residentBytes)).median / 1e6).toFixed(1)} MB`,
        String(own.reduce((sum, { failed }) => sum + failed, 0)),
      ]
    }),
  ])
}
