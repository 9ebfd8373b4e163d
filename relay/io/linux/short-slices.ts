import { arch } from 'node:process'
import { syscall } from './ffi.ts'
import type { Memory } from './memory.ts'

/** `sched_setattr` and `sched_getattr`, which the C library has no functions for. */
const [SET, GET] = arch === 'x64' ? [314, 315] : [274, 275]
/** `struct sched_attr`, as far as version 0 of it goes. */
const ATTRIBUTES_BYTES = 48
const POLICY = 4
const RUNTIME = 24
const THIS_THREAD = 0
const SCHED_OTHER = 0
/** The shortest that the kernel grants. */
const SLICE_NS = 100_000

/**
 * Asks the kernel to give this thread its share of a core in short slices: when it wakes, it then takes the place of
 * a thread with longer ones at once, where it would wait for a slice of the other to end. Its share stays the same,
 * and no privilege is needed. Kernels before 6.12 know no slices of threads; whoever refuses to be asked is left so.
 */
export function askForShortSlices(memory: Memory): void {
  const at = memory.take(ATTRIBUTES_BYTES)
  const attributes = memory.address(at)
  if (syscall(GET, THIS_THREAD, attributes, ATTRIBUTES_BYTES, 0) < 0) return
  if (memory.u32[(at + POLICY) >> 2] !== SCHED_OTHER) return
  memory.u32[(at + RUNTIME) >> 2] = SLICE_NS
  memory.u32[((at + RUNTIME) >> 2) + 1] = 0
  syscall(SET, THIS_THREAD, attributes, 0, 0)
}
