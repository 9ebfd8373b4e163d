import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { Memory } from './memory.ts'
import { askForShortSlices } from './short-slices.ts'

it('a thread gets the shortest slices of a core, where the kernel shows them and knows them of threads', (t) => {
  if (sliceNs() === undefined) return t.skip('this kernel does not show slices')
  const usual = sliceNs()
  askForShortSlices(new Memory(64))
  if (sliceNs() === usual && !fromLinux(6, 12)) return t.skip('kernels before 6.12 have one slice for all')
  assert.equal(sliceNs(), 100_000)
})

function sliceNs(): number | undefined {
  try {
    const [, slice] = /^se\.slice\s*:\s*(\d+)$/m.exec(readFileSync('/proc/thread-self/sched', 'utf8')) ?? []
    return slice === undefined ? undefined : Number(slice)
  } catch {
    return undefined
  }
}

function fromLinux(major: number, minor: number): boolean {
  const [a = 0, b = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
