import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Contender, type StreamAccess, wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { RunningServer } from '../running-server.ts'
import type { GeneratorLine, GeneratorOptions } from './generator.ts'

/** Until then much of the CPU time goes into compiling what is run for the first time. */
const WARM_UP_SECONDS = 5
const GENERATOR = fileURLToPath(new URL('./generator.ts', import.meta.url))

/** One server over one transport. */
export interface StreamsMeasurement {
  readonly server: string
  readonly transport: 'tcp' | 'tls'
  /** Packets of a flow under way at any time. */
  readonly window: number
  readonly packetsPerSecond: number
  readonly packetsPerCpuSecond: number
  /** CPU seconds of the server per second. */
  readonly cpuShare: number
}

export type StreamsLoad = Pick<GeneratorOptions, 'flows' | 'window' | 'payloadBytes' | 'seconds'>

/** Starts a server, keeps packets under way through it for some seconds, and ends it. */
export async function measureStreams(
  contender: Contender,
  network: BenchNetwork,
  access: StreamAccess,
  load: StreamsLoad,
): Promise<StreamsMeasurement> {
  const server = await RunningServer.start(contender, network, access)
  try {
    const options: GeneratorOptions = {
      ...wayIn(network),
      transport: access.transport,
      warmUpSeconds: WARM_UP_SECONDS,
      ...load,
    }
    const command = [process.execPath, GENERATOR, JSON.stringify(options)]
    const [program = '', ...args] = network.at('generator', command)
    const generator = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(generator, 'close')
    let cpuBefore = 0
    let end: { seconds: number; packets: number; cpuSeconds: number } | undefined
    createInterface({ input: generator.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as GeneratorLine
      if (line.kind === 'start') cpuBefore = server.cpuSeconds()
      else end = { ...line, cpuSeconds: server.cpuSeconds() - cpuBefore }
    })
    await closed
    if (!end || end.packets === 0) throw new Error(`${contender.name} relayed nothing`)
    return {
      server: contender.name,
      transport: access.transport,
      window: load.window,
      packetsPerSecond: end.packets / end.seconds,
      packetsPerCpuSecond: end.packets / end.cpuSeconds,
      cpuShare: end.cpuSeconds / end.seconds,
    }
  } finally {
    await server.stop()
  }
}
