import { mallocTrimAside } from './ffi.ts'

/** Pages that are given back and soon needed again cost something each. */
const PAUSE_MS = 10_000

let nextAt = Number.NEGATIVE_INFINITY

/**
 * Gives the system back what native code has freed: V8's compilers alone leave 15 MB in the arenas of their threads,
 * and glibc keeps that otherwise. To be called now and then; most calls do nothing, and none waits.
 */
export function trimNativeHeap(): void {
  const now = performance.now()
  if (!mallocTrimAside || now < nextAt) return
  nextAt = Number.POSITIVE_INFINITY
  mallocTrimAside(0, () => {
    nextAt = performance.now() + PAUSE_MS
  })
}
