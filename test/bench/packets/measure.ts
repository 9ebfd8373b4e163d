import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Contender, StreamAccess } from '../contenders.ts'
import { CoreTime } from '../core-time.ts'
import type { BenchNetwork } from '../network.ts'
import { RunningServer } from '../running-server.ts'
import type { Latency, LoadLine, LoadOptions } from './load-options.ts'

const LOAD = fileURLToPath(new URL('./load.ts', import.meta.url))

/** One server under one load. */
export interface Measurement {
  readonly server: string
  /** `max`: the highest without loss. */
  readonly offeredPerSecond: number | 'max'
  /** What the generator managed to send. */
  readonly sentPerSecond: number
  readonly lossShare: number
  /** CPU time of the server, user and system, for each packet that it relayed. */
  readonly cpuMicrosecondsPerPacket: number
  /** All that the server's core did meanwhile, interrupts and softirqs included, for each packet. */
  readonly coreMicrosecondsPerPacket: number
  /** CPU seconds of the server per second. */
  readonly cpuShare: number
  readonly latency: Latency
}

/** Starts a server, sends it a load, and ends it. */
export async function measure(
  contender: Contender,
  network: BenchNetwork,
  load: LoadOptions,
  access?: StreamAccess,
): Promise<Measurement> {
  const server = await RunningServer.start(contender, network, access)
  try {
    const options: LoadOptions = contender.bare ? { ...load, framing: 'open' } : load
    const [program = '', ...args] = network.at('generator', [process.execPath, LOAD, JSON.stringify(options)])
    const generator = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(generator, 'close')
    let cpuBefore = 0
    let core = new CoreTime(network.serverCore)
    let measurement: Measurement | undefined
    createInterface({ input: generator.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as LoadLine
      if (line.kind === 'start') {
        cpuBefore = server.cpuSeconds()
        core = new CoreTime(network.serverCore)
      } else if (line.kind === 'end') {
        const { busySeconds } = core
        measurement = result(contender.name, load, line, server.cpuSeconds() - cpuBefore, busySeconds)
      }
    })
    await closed
    if (!measurement) throw new Error(`${contender.name}: the load generator ended early`)
    return measurement
  } finally {
    await server.stop()
  }
}

function result(
  server: string,
  { packetsPerSecond }: LoadOptions,
  { sent, received, seconds, latency }: Extract<LoadLine, { kind: 'end' }>,
  cpuSeconds: number,
  coreSeconds: number,
): Measurement {
  if (received === 0) throw new Error(`${server} relayed nothing`)
  return {
    server,
    offeredPerSecond: packetsPerSecond,
    sentPerSecond: sent / seconds,
    lossShare: Math.max(0, 1 - received / sent),
    cpuMicrosecondsPerPacket: (cpuSeconds * 1e6) / received,
    coreMicrosecondsPerPacket: (coreSeconds * 1e6) / received,
    cpuShare: cpuSeconds / seconds,
    latency,
  }
}
