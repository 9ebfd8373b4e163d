import { constants } from 'node:os'
import { errno, recvmmsg, sendmmsg } from './ffi.ts'

/** No descriptor: whoever knows the call says so (EBADF), and a filter of system calls says something else. */
const NO_DESCRIPTOR = -1

/** The system call of the batched data path that the kernel or a filter (seccomp) refuses; undefined: none. */
export function missingCall(): string | undefined {
  if (recvmmsg(NO_DESCRIPTOR, 0, 0, 0, 0) < 0 && errno() !== constants.errno.EBADF) return 'recvmmsg'
  if (sendmmsg(NO_DESCRIPTOR, 0, 0, 0) < 0 && errno() !== constants.errno.EBADF) return 'sendmmsg'
  return undefined
}
