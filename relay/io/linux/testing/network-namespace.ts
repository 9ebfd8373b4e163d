import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { checked } from '../ffi.ts'

const NEW_NETWORK = 0x40000000
const setns: (fd: number, type: number) => number = koffi.load(null).func('int setns(int, int)')

/** Moves this thread to a network namespace that `ip netns` made. */
export function enterNamespace(name: string): void {
  const file = openSync(`/run/netns/${name}`, 'r')
  try {
    checked('setns', setns(file, NEW_NETWORK))
  } finally {
    closeSync(file)
  }
}

/** Does something in a namespace and comes back to another one. */
export function inNamespace<T>(name: string, back: string, work: () => T): T {
  enterNamespace(name)
  try {
    return work()
  } finally {
    enterNamespace(back)
  }
}
