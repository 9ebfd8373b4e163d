import { execFileSync, spawn } from 'node:child_process'
import { on } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Contender, type StreamAccess, wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { RunningServer } from '../running-server.ts'
import type { HolderLine, HolderOptions } from './holder.ts'

const HOLDER = fileURLToPath(new URL('./holder.ts', import.meta.url))
const REST_MS = 2_000
/** What was needed only while they were made is given back by then. */
const HELD_MS = 15_000
/** What is not given back by then counts as kept. */
const GIVE_BACK_MS = 30_000
const PAGE_BYTES = 4_096

/** What allocations with a permission and a channel each take of a server. */
export interface MemoryMeasurement {
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly server: string
  readonly allocations: number
  /** Resident memory of the process for each, and how much of it is there 30 s after they were given back. */
  readonly bytesEach: number
  readonly bytesKeptEach: number
  /** What the kernel's UDP sockets hold in their queues, for each. */
  readonly kernelBytesEach: number
  /** What a relay socket itself is in the kernel: its slab objects, with the entry of epoll. */
  readonly kernelSocketBytes: number
}

export async function measureMemory(
  contender: Contender,
  network: BenchNetwork,
  allocations: number,
  access?: StreamAccess,
): Promise<MemoryMeasurement> {
  const transport = access?.transport ?? 'udp'
  const server = await RunningServer.start(contender, network, access)
  try {
    await sleep(REST_MS)
    const before = { process: server.residentBytes(), kernel: kernelBytes(network), slabs: slabBytes() }
    const options: HolderOptions = {
      ...wayIn(network),
      transport,
      allocations,
    }
    const [program = '', ...args] = network.at('generator', [
      process.execPath,
      HOLDER,
      JSON.stringify(options),
    ])
    const holder = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const lines = on(createInterface({ input: holder.stdout }), 'line', { close: ['close'] })
    await until(lines, 'held', contender)
    await sleep(HELD_MS)
    const held = { process: server.residentBytes(), kernel: kernelBytes(network), slabs: slabBytes() }
    holder.stdin.end('go on\n')
    await until(lines, 'given-back', contender)
    await sleep(GIVE_BACK_MS)
    return {
      transport,
      server: contender.name,
      allocations,
      bytesEach: (held.process - before.process) / allocations,
      bytesKeptEach: (server.residentBytes() - before.process) / allocations,
      kernelBytesEach: (held.kernel - before.kernel) / allocations,
      // Client and server have a socket each, which are alike.
      kernelSocketBytes: (held.slabs - before.slabs) / allocations / 2,
    }
  } finally {
    await server.stop()
  }
}

async function until(
  lines: AsyncIterator<string[]>,
  kind: HolderLine['kind'],
  { name }: Contender,
): Promise<void> {
  const { value, done } = await lines.next()
  if (!done && (JSON.parse(value[0] ?? '') as HolderLine).kind === kind) return
  throw new Error(`${name}: the clients ended early`)
}

/** `mem` of the UDP line in /proc/net/sockstat, in pages. */
function kernelBytes(network: BenchNetwork): number {
  const [program = '', ...args] = network.at('server', ['cat', '/proc/net/sockstat'])
  const text = execFileSync(program, args, { encoding: 'utf8' })
  return Number(/^UDP:.* mem (\d+)/m.exec(text)?.[1] ?? 0) * PAGE_BYTES
}

/** Slabs that a UDP socket has an object of. */
const SOCKET_SLABS: ReadonlySet<string> = new Set(['UDP', 'sock_inode_cache', 'filp', 'eventpoll_epi'])

function slabBytes(): number {
  const lines = readFileSync('/proc/slabinfo', 'utf8').split('\n')
  return lines.reduce((sum, line) => {
    const [name = '', active, , size] = line.split(/\s+/)
    return SOCKET_SLABS.has(name) ? sum + Number(active) * Number(size) : sum
  }, 0)
}
