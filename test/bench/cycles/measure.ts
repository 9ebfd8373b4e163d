import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Contender, wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { RunningServer } from '../running-server.ts'
import type { CyclesLine, CyclesOptions } from './generator.ts'

const GENERATOR = fileURLToPath(new URL('./generator.ts', import.meta.url))

const WARM_UP_CYCLES = 15_000

/** One run of one server. */
export interface CyclesMeasurement {
  readonly name: string
  readonly cyclesPerSecond: number
  readonly cyclesPerCpuSecond: number
  readonly failed: number
  readonly residentBytes: number
}

/** Makes and ends allocations on a server for some seconds, and reads the CPU time that it takes for them. */
export async function measureCycles(
  contender: Contender,
  network: BenchNetwork,
  load: { readonly concurrent: number; readonly seconds: number },
): Promise<CyclesMeasurement> {
  const server = await RunningServer.start(contender, network)
  try {
    const options: CyclesOptions = {
      ...wayIn(network),
      warmUpCycles: WARM_UP_CYCLES,
      ...load,
    }
    const [program = '', ...args] = network.at('generator', [
      process.execPath,
      GENERATOR,
      JSON.stringify(options),
    ])
    const generator = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(generator, 'close')
    let cpuBefore = 0
    let end: (Extract<CyclesLine, { kind: 'end' }> & { cpuSeconds: number }) | undefined
    createInterface({ input: generator.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as CyclesLine
      if (line.kind === 'start') cpuBefore = server.cpuSeconds()
      else end = { ...line, cpuSeconds: server.cpuSeconds() - cpuBefore }
    })
    await closed
    if (!end || end.cycles === 0) throw new Error(`${contender.name} made no allocation`)
    return {
      name: contender.name,
      cyclesPerSecond: end.cycles / end.seconds,
      cyclesPerCpuSecond: end.cycles / end.cpuSeconds,
      failed: end.failed,
      residentBytes: server.residentBytes(),
    }
  } finally {
    await server.stop()
  }
}
