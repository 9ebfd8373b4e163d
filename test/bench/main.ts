import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compareCycles } from './cycles/compare.ts'
import type { GeneratorLine, GeneratorOptions } from './generator.ts'
import { type BenchNetwork, benchNetwork } from './network.ts'
import { type Measurement, summarize, table } from './report.ts'
import { type Contender, CREDENTIAL, contenders, PORT, RunningServer } from './servers.ts'

/**
 * Compares the CPU time that our relay and coturn take, alternately: for ChannelData that they relay (`flows`), or
 * for allocations that they make and end (`cycles`).
 */
const USAGE = `usage: npm run bench -- [--only flows|cycles] [--runs N] [--seconds S] [--flows N] [--window N] [--bytes N] [--concurrent N] [--datapath auto|portable|batched] [--json FILE]`
const GENERATOR = fileURLToPath(new URL('./generator.ts', import.meta.url))
const REST_MS = 1_000

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'flows' },
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    flows: { type: 'string', default: '16' },
    window: { type: 'string', default: '4' },
    bytes: { type: 'string', default: '160' },
    concurrent: { type: 'string', default: '32' },
    datapath: { type: 'string', default: 'auto' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  const programs = missingPrograms()
  if (programs.length > 0) {
    throw new Error(
      `missing: ${programs.join(', ')}; install the Debian packages coturn, iproute2 and util-linux`,
    )
  }
  const network = benchNetwork()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      network.remove()
      process.exit(1)
    })
  }
  process.stdout.write(`${network.description}\n`)
  try {
    if (values.only === 'cycles') await cycles(network)
    else await flows(network)
  } finally {
    network.remove()
  }
}

async function cycles(network: BenchNetwork): Promise<void> {
  const measurements = await compareCycles(contenders(values.datapath), network, {
    runs: positive('runs'),
    seconds: positive('seconds'),
    concurrent: positive('concurrent'),
  })
  save({ description: network.description, measurements })
}

async function flows(network: BenchNetwork): Promise<void> {
  const load: GeneratorOptions = {
    server: { address: network.serverAddress, port: PORT },
    local: network.generatorAddress,
    username: CREDENTIAL.username,
    password: CREDENTIAL.password,
    payloadBytes: positive('bytes'),
    flows: positive('flows'),
    window: positive('window'),
    warmUpSeconds: 1,
    seconds: positive('seconds'),
  }
  process.stdout.write(
    `${load.flows} flows, ${load.window} packets of ${load.payloadBytes} bytes under way in each\n\n`,
  )
  const measurements: Measurement[] = []
  for (let run = 1; run <= positive('runs'); run++) {
    for (const contender of contenders(values.datapath)) {
      const measurement = await measure(contender, network, load)
      measurements.push(measurement)
      const { name, packetsPerSecond, packetsPerCpuSecond } = measurement
      const [rate, cost] = [packetsPerSecond, packetsPerCpuSecond].map(Math.round)
      process.stdout.write(
        `run ${run} ${name.padEnd(10)} ${rate} packets/s, ${cost} packets per CPU-second\n`,
      )
    }
  }
  const summary = summarize(measurements)
  process.stdout.write(`\n${table(summary)}\n`)
  const { flows, window, payloadBytes, seconds } = load
  save({
    description: network.description,
    load: { flows, window, payloadBytes, seconds },
    summary,
    measurements,
  })
}

function save(report: object): void {
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
}

async function measure(
  contender: Contender,
  network: BenchNetwork,
  load: GeneratorOptions,
): Promise<Measurement> {
  const server = await RunningServer.start(contender, network)
  try {
    await sleep(REST_MS)
    const restingBytes = server.residentBytes()
    const command = [process.execPath, GENERATOR, JSON.stringify(load)]
    const [program = '', ...args] = network.at('generator', command)
    const generator = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = once(generator, 'close')
    let cpuBefore = 0
    let end: { seconds: number; packets: number; lost: number; cpuSeconds: number } | undefined
    createInterface({ input: generator.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as GeneratorLine
      if (line.kind === 'start') cpuBefore = server.cpuSeconds()
      else end = { ...line, cpuSeconds: server.cpuSeconds() - cpuBefore }
    })
    await closed
    if (!end || end.packets === 0) throw new Error(`${contender.name} relayed nothing`)
    return {
      name: contender.name,
      packetsPerSecond: end.packets / end.seconds,
      packetsPerCpuSecond: end.packets / end.cpuSeconds,
      cpuShare: end.cpuSeconds / end.seconds,
      lostPackets: end.lost,
      restingBytes,
      loadedBytes: server.residentBytes(),
    }
  } finally {
    await server.stop()
  }
}

function missingPrograms(): string[] {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return ['turnserver', 'taskset', 'ip'].filter(
    (program) => !folders.some((folder) => existsSync(join(folder, program))),
  )
}

function positive(name: 'runs' | 'seconds' | 'flows' | 'window' | 'bytes' | 'concurrent'): number {
  const value = Number(values[name])
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`--${name} must be a whole number above 0\n${USAGE}`)
}

await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
