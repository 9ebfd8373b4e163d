import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Contender, StreamAccess } from '../contenders.ts'
import { CoreTime } from '../core-time.ts'
import type { BenchNetwork } from '../network.ts'
import { type RelayTurns, relayTurns, turnsSince } from '../relay-turns.ts'
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
  /** Packets of strangers beside them. */
  readonly floodPerSecond: number
  /** What the process took more at the end than at the start. */
  readonly grownBytes: number
  /** Of our relay, and where the load rests before it is measured. */
  readonly turns: RelayTurns | undefined
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
    let before = momentOf(server, network)
    let turnsBefore: RelayTurns | undefined
    let measurement: Measurement | undefined
    createInterface({ input: generator.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as LoadLine
      if (line.kind === 'rest') turnsBefore = relayTurns(network)
      else if (line.kind === 'start') before = momentOf(server, network)
      else if (line.kind === 'end') {
        const cost = costSince(before, server)
        const turns = turnsBefore && turnsSince(turnsBefore, network)
        measurement = { ...result(contender.name, load, line, cost), turns }
      }
    })
    await closed
    if (!measurement) throw new Error(`${contender.name}: the load generator ended early`)
    return measurement
  } finally {
    await server.stop()
  }
}

interface Moment {
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly core: CoreTime
}

function momentOf(server: RunningServer, { serverCore }: BenchNetwork): Moment {
  const [cpuSeconds, residentBytes] = [server.cpuSeconds(), server.residentBytes()]
  return { cpuSeconds, residentBytes, core: new CoreTime(serverCore) }
}

function costSince({ cpuSeconds, residentBytes, core }: Moment, server: RunningServer) {
  const coreSeconds = core.busySeconds
  return {
    coreSeconds,
    cpuSeconds: server.cpuSeconds() - cpuSeconds,
    grownBytes: server.residentBytes() - residentBytes,
  }
}

function result(
  server: string,
  { packetsPerSecond }: LoadOptions,
  { sent, received, seconds, latency, flooded }: Extract<LoadLine, { kind: 'end' }>,
  { cpuSeconds, coreSeconds, grownBytes }: ReturnType<typeof costSince>,
): Omit<Measurement, 'turns'> {
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
    floodPerSecond: flooded / seconds,
    grownBytes,
  }
}
