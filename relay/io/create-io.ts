import type { RelayConfig } from '../api/config.ts'
import type { RelayIo } from './io.ts'
import { PortableIo } from './portable/portable-io.ts'

export interface ChosenIo {
  readonly io: RelayIo
  readonly datapath: 'portable' | 'batched' | 'kernel'
  /** What to tell the person who asked for something else. */
  readonly note?: string
}

/** What the batched data path is made of: loaded only where it is wanted, as it calls into the C library at once. */
const LOAD = async () => {
  const [{ LinuxIo }, { missingCall }] = await Promise.all([
    import('./linux/linux-io.ts'),
    import('./linux/missing-call.ts'),
  ])
  return { create: (): RelayIo => new LinuxIo(), missingCall }
}

/** The I/O layer that a configuration asks for; rejects with what to change where this host cannot have it. */
export async function createIo(
  config: Pick<RelayConfig, 'datapath' | 'handOver' | 'listeners' | 'limits'>,
  load = LOAD,
): Promise<ChosenIo> {
  const { datapath: wanted, limits } = config
  if (wanted === 'portable') return { io: new PortableIo(), datapath: 'portable' }
  const kernel = wanted === 'kernel' && !whyNotLinux() ? await openKernel(limits.allocations) : {}
  if (kernel.io) return { io: kernel.io, datapath: 'kernel' }
  try {
    return { io: await openBatched(load), datapath: 'batched', ...kernel }
  } catch (error) {
    const why = (error as Error).message
    if (wanted === 'batched') throw new Error(`datapath batched ${why}: choose auto or portable`)
    const needed = whatNeedsIt(config)
    if (needed) throw new Error(`${needed} ${why}: remove it`)
    const path = wanted === 'kernel' ? 'kernel' : 'batched'
    const note = `the ${path} data path ${why}; the portable one serves, as datapath: portable would have it`
    return { io: new PortableIo(), datapath: 'portable', note }
  }
}

/** Why there can be no other data path than the batched one; undefined where there can. */
function whatNeedsIt({
  listeners,
  handOver,
}: Pick<RelayConfig, 'handOver' | 'listeners'>): string | undefined {
  if (listeners.some(({ protocol }) => protocol === 'dtls')) return 'a dtls listener'
  return handOver ? 'handOver' : undefined
}

/** Rejects with why this host has no batched data path, as the end of a sentence. */
async function openBatched(load: typeof LOAD): Promise<RelayIo> {
  const missing = whyNotLinux()
  if (missing) throw new Error(missing)
  try {
    const { create, missingCall } = await load()
    const call = missingCall()
    if (call) throw new Error(`this system refuses ${call}`)
    return create()
  } catch (error) {
    const [line] = (error as Error).message.split('\n')
    throw new Error(
      `cannot be had (${line}): it needs glibc, the package koffi with its optional dependencies where programs may be run, and the system calls recvmmsg, sendmmsg and epoll_wait`,
    )
  }
}

/** The kernel path, or why there is none: a relay that can serve does. */
async function openKernel(allocations: number): Promise<{ io?: RelayIo; note?: string }> {
  try {
    const { KernelIo } = await import('./linux/kernel/kernel-io.ts')
    return { io: KernelIo.open(allocations) }
  } catch (error) {
    const why = (error as Error).message
    return {
      note: `the kernel data path needs Linux 6.6 and the capabilities BPF, NET_ADMIN and PERFMON; the batched one serves (${why})`,
    }
  }
}

function whyNotLinux(): string | undefined {
  const { platform, arch } = process
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return undefined
  return `needs Linux on x64 or arm64, and this is ${platform} on ${arch}`
}
