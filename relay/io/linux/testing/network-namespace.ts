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

/** Does something in a namespace and comes back. */
export function inNamespace<T>(name: string, work: () => T): T {
  const back = openSync('/proc/thread-self/ns/net', 'r')
  try {
    enterNamespace(name)
    return work()
  } finally {
    checked('setns', setns(back, NEW_NETWORK))
    closeSync(back)
  }
}
