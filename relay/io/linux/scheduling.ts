import { readdirSync } from 'node:fs'
import { arch } from 'node:process'
import { syscall } from './ffi.ts'
import { Memory } from './memory.ts'

/** `sched_setattr` and `sched_getattr`, which the C library has no functions for. */
const [SET, GET] = arch === 'x64' ? [314, 315] : [274, 275]
/** `struct sched_attr`, as far as version 0 of it goes. */
const ATTRIBUTES_BYTES = 48
const POLICY = 4
const RUNTIME = 24
const THIS_THREAD = 0
const SCHED_OTHER = 0
const SCHED_BATCH = 3
/** The shortest that the kernel grants. */
const SLICE_NS = 100_000

/**
 * Asks the kernel to give this thread its share of a core in short slices: when it wakes, it then takes the place of
 * a thread with longer ones at once, where it would wait for a slice of the other to end. Its share stays the same,
 * and no privilege is needed. Kernels before 6.12 know no slices of threads; whoever refuses to be asked is left so.
 */
export function askForShortSlices(memory: Memory): void {
  change(memory, memory.take(ATTRIBUTES_BYTES), THIS_THREAD, SCHED_OTHER, SLICE_NS)
}

/**
 * Lets no thread that this process has now take a core from one of `askForShortSlices` by waking, nor any that
 * those start: V8's helpers do so in the middle of a packet, and keep the core for milliseconds.
 */
export function keepOthersFromInterrupting(): void {
  const memory = new Memory(ATTRIBUTES_BYTES)
  const at = memory.take(ATTRIBUTES_BYTES)
  for (const thread of readdirSync('/proc/self/task')) change(memory, at, Number(thread), SCHED_BATCH, 0)
}

/** A slice of 0 is the usual one. Whom somebody gave another policy keeps it. */
function change(memory: Memory, at: number, thread: number, policy: number, sliceNs: number): void {
  const { u32 } = memory
  const attributes = memory.address(at)
  if (syscall(GET, thread, attributes, ATTRIBUTES_BYTES, 0) < 0) return
  const before = u32[(at + POLICY) >> 2]
  if (before !== SCHED_OTHER && before !== SCHED_BATCH) return
  u32[(at + POLICY) >> 2] = policy
  u32[(at + RUNTIME) >> 2] = sliceNs
  u32[((at + RUNTIME) >> 2) + 1] = 0
  syscall(SET, thread, attributes, 0, 0)
}
