import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { type Contender, wayIn } from '../contenders.ts'
import { measureCycles } from '../cycles/measure.ts'
import { growthLoad } from '../growth/load.ts'
import { measureMemory } from '../memory/measure.ts'
import type { BenchNetwork } from '../network.ts'
import { namedContenders } from '../options.ts'
import { measureAt } from '../packets/highest-rate.ts'
import type { Flood } from '../packets/load-options.ts'
import { type Measurement, measure } from '../packets/measure.ts'
import type { Load } from '../packets/options.ts'
import { withProgramStatistics } from '../program-statistics.ts'
import { measureStreams } from '../streams/measure.ts'
import type { Entry, Figures, Sample } from './results.ts'

/** What the parts of the suite are given. */
export interface SuiteContext {
  readonly network: BenchNetwork
  /** Of each measurement. */
  readonly seconds: number
  /** Replaces the servers of a part. */
  readonly servers: string | undefined
  /** Whether a case is to be measured. */
  readonly wanted: (name: string) => boolean
  /** What was measured of packets before, which half of the highest rate is taken from. */
  readonly packets: readonly Entry[]
}

type Measure = (context: SuiteContext) => AsyncGenerator<Sample>

/** One run of every part, case by case, the servers one after the other. */
export const MEASURES: Readonly<Record<string, Measure>> = {
  packets,
  streams,
  cycles,
  memory,
  latency,
  growth,
  kernel,
  flood,
}

const KIB = 1024
const WARM_UP_SECONDS = 2
const HIGHEST = 'highest'
const HIGHEST_SECONDS = 1
const CALLS_PER_SECOND = 20_000
const FLOOD_PER_SECOND = 40_000
const MEMORY_ALLOCATIONS = [1_000, 5_000, 10_000]
const GROWTH_ALLOCATIONS = [100, 1_000, 10_000]
const GROWTH_PER_SECOND = 60_000
const KERNEL_PER_SECOND = 100_000
/** Until then the relay tells how its loop does, which takes CPU time itself. */
const REST_SECONDS = 1

interface Shape {
  readonly framing: 'channel' | 'indication'
  readonly payloadBytes: number
  readonly flows: number
  readonly burst: number
}

const SHAPES: readonly Shape[] = [
  ...(['channel', 'indication'] as const).flatMap((framing) =>
    [160, 1_200].flatMap((payloadBytes) =>
      [16, 256].map((flows) => ({ framing, payloadBytes, flows, burst: 4 })),
    ),
  ),
  { framing: 'channel', payloadBytes: 160, flows: 16, burst: 1 },
  { framing: 'channel', payloadBytes: 160, flows: 256, burst: 1 },
]
const CALL: Shape = { framing: 'channel', payloadBytes: 160, flows: 16, burst: 1 }

const PACKET_CASES = SHAPES.flatMap((shape) =>
  ([40_000, 100_000, 'max'] as const).map((rate) => {
    const name = `${nameOf(shape)}, ${rate === 'max' ? HIGHEST : `${rate / 1000} k/s`}`
    return {
      shape,
      rate,
      name,
      usual: `batched,coturn,pion,${shape.burst > 1 ? 'floor-runs' : 'floor-batch'}`,
    }
  }),
)

async function* packets(context: SuiteContext): AsyncGenerator<Sample> {
  for (const { shape, rate, name, usual } of PACKET_CASES) {
    if (!context.wanted(name)) continue
    const seconds = rate === 'max' ? HIGHEST_SECONDS : context.seconds
    const load = { ...loadOf(context.network, shape), seconds }
    for (const contender of contenders(context, usual))
      yield sample(name, contender, packetFigures(await measureAt(rate, contender, context.network, load)))
  }
}

async function* streams(context: SuiteContext): AsyncGenerator<Sample> {
  const certificate = await selfSigned('bench.example.org')
  const cases = (['tcp', 'tls'] as const).flatMap((transport) =>
    [1, 4].map((window) => ({ transport, window, name: `${transport}, ${window} under way` })),
  )
  for (const { transport, window, name } of cases) {
    if (!context.wanted(name)) continue
    const load = { flows: 16, window, payloadBytes: 160, seconds: context.seconds }
    for (const contender of contenders(context, 'batched,coturn')) {
      const access = { transport, ...certificate }
      const { packetsPerSecond, packetsPerCpuSecond } = await measureStreams(
        contender,
        context.network,
        access,
        load,
      )
      yield sample(name, contender, { packetsPerSecond, packetsPerCpuSecond })
    }
  }
}

async function* cycles({ network, seconds, ...context }: SuiteContext): AsyncGenerator<Sample> {
  const name = '32 at a time'
  if (!context.wanted(name)) return
  for (const contender of contenders(context, 'batched,portable,coturn')) {
    const { cyclesPerSecond, cyclesPerCpuSecond, failed } = await measureCycles(contender, network, {
      concurrent: 32,
      seconds,
    })
    yield sample(name, contender, { cyclesPerSecond, cyclesPerCpuSecond, failed })
  }
}

async function* memory({ network, ...context }: SuiteContext): AsyncGenerator<Sample> {
  for (const count of MEMORY_ALLOCATIONS) {
    const name = `${count} allocations`
    if (!context.wanted(name)) continue
    for (const contender of contenders(context, 'batched,coturn')) {
      const { bytesEach, bytesKeptEach, kernelBytesEach } = await measureMemory(contender, network, count)
      yield sample(name, contender, {
        kibEach: bytesEach / KIB,
        kibKeptEach: bytesKeptEach / KIB,
        kernelKibEach: kernelBytesEach / KIB,
      })
    }
  }
}

async function* latency(context: SuiteContext): AsyncGenerator<Sample> {
  for (const name of ['20 k/s', 'half of the highest'] as const) {
    if (!context.wanted(name)) continue
    for (const contender of contenders(context, 'batched,coturn,pion')) {
      const rate = name === '20 k/s' ? CALLS_PER_SECOND : halfOfHighest(context, contender)
      const load = { ...loadOf(context.network, CALL), seconds: context.seconds, restSeconds: REST_SECONDS }
      const measured = await measure(contender, context.network, { ...load, packetsPerSecond: rate })
      const { turns } = measured
      yield sample(name, contender, {
        ...packetFigures(measured),
        ...(turns && {
          turnsOver500us: turns.over500us,
          turnsOver1ms: turns.over1ms,
          turnsPerSecond: turns.all / context.seconds,
        }),
      })
    }
  }
}

async function* growth(context: SuiteContext): AsyncGenerator<Sample> {
  for (const burst of [1, 4]) {
    for (const allocations of GROWTH_ALLOCATIONS) {
      const name = `${allocations} allocations, ${burst > 1 ? `bursts of ${burst}` : 'single packets'}`
      if (!context.wanted(name)) continue
      const load = { ...growthLoad(context.network, allocations, burst), seconds: context.seconds }
      for (const contender of contenders(context, 'batched,coturn')) {
        const measured = await measure(contender, context.network, {
          ...load,
          packetsPerSecond: GROWTH_PER_SECOND,
        })
        yield sample(name, contender, packetFigures(measured))
      }
    }
  }
}

async function* kernel(context: SuiteContext): AsyncGenerator<Sample> {
  for (const shape of SHAPES.filter(({ burst }) => burst > 1)) {
    const name = nameOf(shape)
    if (!context.wanted(name)) continue
    const load = { ...loadOf(context.network, shape), seconds: context.seconds }
    for (const contender of contenders(context, 'kernel,coturn')) {
      const measured = await withProgramStatistics(() =>
        measure(contender, context.network, { ...load, packetsPerSecond: KERNEL_PER_SECOND }),
      )
      yield sample(name, contender, packetFigures(measured))
    }
  }
}

async function* flood(context: SuiteContext): AsyncGenerator<Sample> {
  const load = { ...loadOf(context.network, CALL), seconds: context.seconds }
  const alone = new Map<string, Measurement>()
  for (const kind of ['allocate', 'binding', 'garbage'] as const) {
    const name = { allocate: 'Allocate', binding: 'Binding', garbage: 'no STUN' }[kind]
    if (!context.wanted(name)) continue
    for (const contender of contenders(context, 'batched,coturn')) {
      const run = (beside?: Flood) => {
        const offered = { ...load, packetsPerSecond: CALLS_PER_SECOND }
        return measure(contender, context.network, beside ? { ...offered, flood: beside } : offered)
      }
      const calls = alone.get(contender.name) ?? (await run())
      alone.set(contender.name, calls)
      const measured = await run({ kind, packetsPerSecond: FLOOD_PER_SECOND })
      yield sample(name, contender, {
        ...packetFigures(measured),
        cpuMicroseconds: ((measured.cpuShare - calls.cpuShare) * 1e6) / measured.floodPerSecond,
        floodPerSecond: measured.floodPerSecond,
        grownMegabytes: measured.grownBytes / 1e6,
      })
    }
  }
}

function contenders({ servers }: Pick<SuiteContext, 'servers'>, usual: string): Contender[] {
  return namedContenders(servers ?? usual)
}

function sample(name: string, contender: Contender, figures: Figures): Sample {
  return { case: name, server: contender.name, figures }
}

function packetFigures(measured: Measurement): Figures {
  return {
    sentPerSecond: measured.sentPerSecond,
    cpuMicroseconds: measured.cpuMicrosecondsPerPacket,
    coreMicroseconds: measured.coreMicrosecondsPerPacket,
    lossPercent: measured.lossShare * 100,
    ...measured.latency,
  }
}

function nameOf({ framing, payloadBytes, flows, burst }: Shape): string {
  const data = framing === 'channel' ? 'ChannelData' : 'Send and Data'
  return `${data}, ${payloadBytes} B, ${flows} flows, ${burst > 1 ? `bursts of ${burst}` : 'single packets'}`
}

function loadOf(network: BenchNetwork, shape: Shape): Omit<Load, 'seconds'> {
  return {
    ...wayIn(network),
    transport: 'udp',
    direction: 'both',
    warmUpSeconds: WARM_UP_SECONDS,
    ...shape,
  }
}

function halfOfHighest({ packets: measured }: SuiteContext, { name }: Contender): number {
  const wanted = `${nameOf(CALL)}, ${HIGHEST}`
  const entry = measured.find((one) => one.case === wanted && one.server === name)
  const rates = entry?.runs.map(({ sentPerSecond = 0 }) => sentPerSecond).toSorted((a, b) => a - b) ?? []
  const median = rates[rates.length >> 1]
  if (median) return Math.round(median / 2)
  throw new Error(
    `half of the highest rate of ${name} is not known: measure "${wanted}" first, with --only a`,
  )
}
