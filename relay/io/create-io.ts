import type { RelayConfig } from '../api/config.ts'
import type { RelayIo } from './io.ts'
import { PortableIo } from './portable/portable-io.ts'

export interface ChosenIo {
  readonly io: RelayIo
  readonly datapath: 'portable' | 'batched'
  /** What to tell the person who asked for something else. */
  readonly note?: string
}

/** The I/O layer that a configuration asks for; rejects with what to change where this host cannot have it. */
export async function createIo(config: Pick<RelayConfig, 'datapath' | 'listeners'>): Promise<ChosenIo> {
  const wanted = config.datapath
  const dtls = config.listeners.some(({ protocol }) => protocol === 'dtls')
  if (wanted === 'batched' || (dtls && wanted !== 'portable'))
    return { io: await batched(dtls ? 'a dtls listener' : 'datapath batched'), datapath: 'batched' }
  const chosen: ChosenIo = { io: new PortableIo(), datapath: 'portable' }
  if (wanted !== 'kernel') return chosen
  return { ...chosen, note: 'the kernel data path is not in this version; the portable one serves' }
}

async function batched(what: string): Promise<RelayIo> {
  const { platform, arch } = process
  if (platform !== 'linux' || (arch !== 'x64' && arch !== 'arm64')) {
    throw new Error(
      `${what} needs Linux on x64 or arm64, and this is ${platform} on ${arch}: ` +
        `${what === 'datapath batched' ? 'choose auto or portable' : 'remove it'}`,
    )
  }
  // Loaded only where it is wanted: it calls into the C library as soon as it is there.
  const { LinuxIo } = await import('./linux/linux-io.ts')
  return new LinuxIo()
}
