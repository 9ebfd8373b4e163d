import type { RelayConfig } from '../api/config.ts'
import type { RelayIo } from './io.ts'
import { PortableIo } from './portable/portable-io.ts'

export interface ChosenIo {
  readonly io: RelayIo
  readonly datapath: 'portable' | 'batched' | 'kernel'
  /** What to tell the person who asked for something else. */
  readonly note?: string
}

/** The I/O layer that a configuration asks for; rejects with what to change where this host cannot have it. */
export async function createIo(
  config: Pick<RelayConfig, 'datapath' | 'listeners' | 'limits'>,
): Promise<ChosenIo> {
  const wanted = config.datapath
  const dtls = config.listeners.some(({ protocol }) => protocol === 'dtls')
  if (wanted === 'kernel' && !(dtls && whyNotLinux())) return kernel(config.limits.allocations)
  if (wanted === 'batched' || (dtls && wanted !== 'portable'))
    return { io: await batched(dtls ? 'a dtls listener' : 'datapath batched'), datapath: 'batched' }
  return { io: new PortableIo(), datapath: 'portable' }
}

async function batched(what: string): Promise<RelayIo> {
  const missing = whyNotLinux()
  if (missing) {
    const remedy = what === 'datapath batched' ? 'choose auto or portable' : 'remove it'
    throw new Error(`${what} ${missing}: ${remedy}`)
  }
  // Loaded only where it is wanted: it calls into the C library as soon as it is there.
  const { LinuxIo } = await import('./linux/linux-io.ts')
  return new LinuxIo()
}

/** The kernel path, or what comes next to it: a relay that can serve does. */
async function kernel(allocations: number): Promise<ChosenIo> {
  const missing = whyNotLinux()
  if (missing) {
    const note = `the kernel data path ${missing}; the portable one serves`
    return { io: new PortableIo(), datapath: 'portable', note }
  }
  try {
    const { KernelIo } = await import('./linux/kernel/kernel-io.ts')
    return { io: KernelIo.open(allocations), datapath: 'kernel' }
  } catch (error) {
    const why = (error as Error).message
    const note = `the kernel data path needs Linux 6.6 and the capabilities BPF, NET_ADMIN and PERFMON; the batched one serves (${why})`
    return { io: await batched('datapath batched'), datapath: 'batched', note }
  }
}

function whyNotLinux(): string | undefined {
  const { platform, arch } = process
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) return undefined
  return `needs Linux on x64 or arm64, and this is ${platform} on ${arch}`
}
