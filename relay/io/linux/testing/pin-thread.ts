import koffi from 'koffi'

const library = koffi.load(null)
const currentCpu: () => number = library.func('int sched_getcpu(void)')
const setAffinity: (pid: number, bytes: number, mask: Uint8Array) => number = library.func(
  'int sched_setaffinity(int, size_t, void *)',
)
const MASK_BYTES = 128

/**
 * Keeps this thread on its processor. Loopback queues what it delivers on the processor of the sender, so that
 * order across sockets is only told while the sender stays on one.
 */
export function pinThread(): void {
  const cpu = currentCpu()
  const mask = new Uint8Array(MASK_BYTES)
  mask[cpu >> 3] = 1 << (cpu & 7)
  if (setAffinity(0, MASK_BYTES, mask) !== 0)
    throw new Error(`this thread cannot be kept on processor ${cpu}`)
}
