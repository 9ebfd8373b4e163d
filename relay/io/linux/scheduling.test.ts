import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'
import { Memory } from './memory.ts'
import { askForShortSlices, keepOthersFromInterrupting } from './scheduling.ts'

const POLICIES = { other: 0, batch: 3 }

it('the threads of a process interrupt nobody by waking, but for event loops', (t) => {
  if (shown('policy') === undefined) return t.skip('this kernel does not show how threads are scheduled')
  keepOthersFromInterrupting()
  assert.equal(shown('policy'), POLICIES.batch)
  askForShortSlices(new Memory(64))
  assert.equal(shown('policy'), POLICIES.other)
})

it('an event loop gets the shortest slices of a core, where the kernel knows slices of threads', (t) => {
  const usual = shown('se.slice')
  askForShortSlices(new Memory(64))
  if (usual === undefined || (shown('se.slice') === usual && !fromLinux(6, 12)))
    return t.skip('this kernel has one slice for all')
  assert.equal(shown('se.slice'), 100_000)
})

function shown(field: string): number | undefined {
  try {
    const text = readFileSync('/proc/thread-self/sched', 'utf8')
    const line = text.split('\n').find((one) => one.startsWith(field))
    return line === undefined ? undefined : Number(line.split(':')[1])
  } catch {
    return undefined
  }
}

function fromLinux(major: number, minor: number): boolean {
  const [a = 0, b = 0] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
