import { LinuxIo } from '../linux-io.ts'
import { KernelOffload } from './kernel-offload.ts'
import type { MapSizes } from './maps.ts'

/** Most entries of a kind, whatever the configured limits: some 70 MiB of memory. */
const ENTRIES_MAX = 262_144
const ALLOCATIONS_MAX = 65_536
/** Permissions and channels that an allocation has at work on the average; what is beyond goes through the relay. */
const PER_ALLOCATION = 4

/** The batched I/O of Linux above the kernel path: what is not forwarded below comes in here. */
export class KernelIo extends LinuxIo {
  /** The maps that the program looks into are those of one event loop. */
  override readonly sharedPorts: boolean = false
  readonly offload: KernelOffload

  /** Two programs would forward for one port. */
  override get handOver(): undefined {
    return undefined
  }

  private constructor(offload: KernelOffload) {
    // Datagrams that the kernel had gathered for a socket would be too long for the program.
    super({ gather: false })
    this.offload = offload
  }

  /** For so many allocations; throws where the kernel or the rights for it are missing. */
  static open(allocations: number): KernelIo {
    return new KernelIo(new KernelOffload(mapSizes(allocations)))
  }

  override keepDscp(kept: boolean): void {
    super.keepDscp(kept)
    this.offload.keepDscp(kept)
  }

  override async close(): Promise<void> {
    await super.close()
    this.offload.close()
  }
}

function mapSizes(allocations: number): MapSizes {
  const count = Math.min(allocations, ALLOCATIONS_MAX)
  const entries = Math.min(count * PER_ALLOCATION, ENTRIES_MAX)
  return { allocations: count, permissions: entries, channels: entries }
}
