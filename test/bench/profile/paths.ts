import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { type Contender, wayIn } from '../contenders.ts'
import { measureCycles } from '../cycles/measure.ts'
import type { BenchNetwork } from '../network.ts'
import { namedContenders } from '../options.ts'
import type { Flood, LoadOptions } from '../packets/load-options.ts'
import { measure } from '../packets/measure.ts'
import { measureStreams } from '../streams/measure.ts'
import type { Frame } from './groups.ts'
import { record } from './record.ts'

const PACKETS_PER_SECOND = 80_000
const LOAD_SECONDS = 10
/** Beside packets of calls. */
const FLOOD_PER_SECOND = 40_000
const CALLS_PER_SECOND = 20_000
/** Until then servers start, and what is compiled while it runs has been. */
const BEFORE_MS = 7_000
const RECORD_SECONDS = 4

type Load = (contender: Contender, network: BenchNetwork) => Promise<unknown>

/** The data paths that can be profiled, each with the server and the load. */
export const PATHS: Readonly<Record<string, { readonly server: string; readonly load: Load }>> = {
  batched: { server: 'batched', load: packets },
  portable: { server: 'portable', load: packets },
  kernel: { server: 'kernel', load: packets },
  tcp: { server: 'batched', load: (contender, network) => stream('tcp', contender, network) },
  tls: { server: 'batched', load: (contender, network) => stream('tls', contender, network) },
  cycles: { server: 'batched', load: cycles },
  coturn: { server: 'coturn', load: packets },
  'flood-allocate': { server: 'batched', load: (...of) => strangers('allocate', ...of) },
  'flood-binding': { server: 'batched', load: (...of) => strangers('binding', ...of) },
  'flood-garbage': { server: 'batched', load: (...of) => strangers('garbage', ...of) },
}

/** Where the server of a path spends its time under its load. */
export async function profilePath(path: string, network: BenchNetwork): Promise<Frame[]> {
  const { server, load } = PATHS[path]!
  const [contender] = namedContenders(server)
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-profile-'))
  const pidFile = join(folder, 'pid')
  try {
    const loaded = load(named(contender!, pidFile), network)
    await sleep(BEFORE_MS)
    const frames = await record(Number(readFileSync(pidFile, 'utf8')), RECORD_SECONDS)
    await loaded
    return frames
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** With names for what is compiled at run time, in /tmp/perf-PID.map; says by a file which process it is. */
function named(contender: Contender, pidFile: string): Contender {
  const shell = ['sh', '-c', 'echo $$ > "$0"; exec "$@"', pidFile, 'env', 'NODE_OPTIONS=--perf-basic-prof']
  return {
    ...contender,
    start: (...args) => {
      const started = contender.start(...args)
      return { ...started, command: [...shell, ...started.command] }
    },
  }
}

function packets(contender: Contender, network: BenchNetwork): Promise<unknown> {
  return measure(contender, network, callsOf(network))
}

function strangers(kind: Flood['kind'], contender: Contender, network: BenchNetwork): Promise<unknown> {
  const calls = { ...callsOf(network), burst: 1, packetsPerSecond: CALLS_PER_SECOND }
  return measure(contender, network, { ...calls, flood: { kind, packetsPerSecond: FLOOD_PER_SECOND } })
}

function callsOf(network: BenchNetwork): LoadOptions {
  return {
    ...wayIn(network),
    transport: 'udp',
    flows: 16,
    framing: 'channel',
    direction: 'both',
    payloadBytes: 160,
    burst: 4,
    packetsPerSecond: PACKETS_PER_SECOND,
    warmUpSeconds: 3,
    seconds: LOAD_SECONDS,
  }
}

async function stream(
  transport: 'tcp' | 'tls',
  contender: Contender,
  network: BenchNetwork,
): Promise<unknown> {
  const access = { transport, ...(await selfSigned('bench.example.org')) }
  return measureStreams(contender, network, access, {
    flows: 16,
    window: 4,
    payloadBytes: 160,
    seconds: LOAD_SECONDS,
  })
}

function cycles(contender: Contender, network: BenchNetwork): Promise<unknown> {
  return measureCycles(contender, network, { concurrent: 32, seconds: LOAD_SECONDS })
}
