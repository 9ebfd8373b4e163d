import { getSystemErrorMessage, getSystemErrorName } from 'node:util'
import koffi, { type LibraryHandle } from 'koffi'

import { descriptors } from './descriptors.ts'

/**
 * The C functions of the Linux data path. Pointers are numbers, and only addresses inside a `Memory` are ever
 * handed over: that memory never moves, and nothing is copied or allocated by a call.
 */
const library: LibraryHandle = koffi.load(null)

/** A file descriptor, or an address in a `Memory`. */
type Int = number

const socketFunction = library.func('int socket(int, int, int)')
export function socket(domain: Int, type: Int, protocol: Int): Int {
  return descriptors.opened(socketFunction(domain, type, protocol))
}
const pairFunction = library.func('int socketpair(int, int, int, uintptr_t)')
/** Both are their receivers', who note them. */
export const socketpair: (domain: Int, type: Int, protocol: Int, pair: Int) => Int = pairFunction
export const bind: (fd: Int, address: Int, length: Int) => Int = library.func(
  'int bind(int, uintptr_t, uint32_t)',
)
export const connect: (fd: Int, address: Int, length: Int) => Int = library.func(
  'int connect(int, uintptr_t, uint32_t)',
)
export const getsockname: (fd: Int, address: Int, length: Int) => Int = library.func(
  'int getsockname(int, uintptr_t, uintptr_t)',
)
export const setsockopt: (fd: Int, level: Int, name: Int, value: Int, length: Int) => Int = library.func(
  'int setsockopt(int, int, int, uintptr_t, uint32_t)',
)
export const listen: (fd: Int, backlog: Int) => Int = library.func('int listen(int, int)')
const accept4Function = library.func('int accept4(int, uintptr_t, uintptr_t, int)')
export function accept4(fd: Int, address: Int, length: Int, flags: Int): Int {
  return descriptors.opened(accept4Function(fd, address, length, flags))
}
export const recv: (fd: Int, into: Int, length: Int, flags: Int) => Int = library.func(
  'long recv(int, uintptr_t, size_t, int)',
)
export const send: (fd: Int, from: Int, length: Int, flags: Int) => Int = library.func(
  'long send(int, uintptr_t, size_t, int)',
)
export const sendto: (fd: Int, from: Int, length: Int, flags: Int, address: Int, addressLength: Int) => Int =
  library.func('long sendto(int, uintptr_t, size_t, int, uintptr_t, uint32_t)')
export const shutdown: (fd: Int, how: Int) => Int = library.func('int shutdown(int, int)')
const closeFunction = library.func('int close(int)')
export function close(fd: Int): Int {
  descriptors.closed(fd)
  return closeFunction(fd)
}
export const recvmmsg: (fd: Int, messages: Int, count: Int, flags: Int, timeout: Int) => Int = library.func(
  'int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)',
)
export const sendmmsg: (fd: Int, messages: Int, count: Int, flags: Int) => Int = library.func(
  'int sendmmsg(int, uintptr_t, uint32_t, int)',
)
const epollCreateFunction = library.func('int epoll_create1(int)')
export function epollCreate1(flags: Int): Int {
  return descriptors.opened(epollCreateFunction(flags))
}
export const epollCtl: (epoll: Int, operation: Int, fd: Int, event: Int) => Int = library.func(
  'int epoll_ctl(int, int, int, uintptr_t)',
)
const epollWaitFunction = library.func('int epoll_wait(int, uintptr_t, int, int)')
export const epollWait: (epoll: Int, events: Int, max: Int, timeoutMs: Int) => Int = epollWaitFunction
/** Waits on a thread of its own and calls back on this one. */
export const epollWaitAsync: (
  epoll: Int,
  events: Int,
  max: Int,
  timeoutMs: Int,
  done: (error: Error | null, count: number) => void,
) => void = epollWaitFunction.async
/** Rests the thread; nothing but a signal ends it early. */
export const usleep: (microseconds: Int) => Int = library.func('int usleep(uint32_t)')
/** Of calls that the C library has no function for. */
export const syscall: (number: Int, first: Int, second: Int, third: Int, fourth: Int) => Int = library.func(
  'long syscall(long, int, uintptr_t, uint32_t, uint32_t)',
)
export const prctl: (option: Int, value: Int) => Int = library.func('int prctl(int, ulong)')
const eventfdFunction = library.func('int eventfd(uint32_t, int)')
export function eventfd(initial: Int, flags: Int): Int {
  return descriptors.opened(eventfdFunction(initial, flags))
}
export const eventfdWrite: (fd: Int, value: Int) => Int = library.func('int eventfd_write(int, uint64_t)')
export const read: (fd: Int, into: Int, length: Int) => Int = library.func(
  'long read(int, uintptr_t, size_t)',
)
export const write: (fd: Int, from: Int, length: Int) => Int = library.func(
  'long write(int, uintptr_t, size_t)',
)
export const mmap: (hint: Int, length: Int, protection: Int, flags: Int, fd: Int, offset: Int) => Int =
  library.func('uintptr_t mmap(uintptr_t, size_t, int, int, int, long)')
export const mprotect: (address: Int, length: Int, protection: Int) => Int = library.func(
  'int mprotect(uintptr_t, size_t, int)',
)
export const munmap: (address: Int, length: Int) => Int = library.func('int munmap(uintptr_t, size_t)')
/** Of glibc alone; on a thread of its own. */
export const mallocTrimAside: ((keepBytes: Int, done: () => void) => void) | undefined = optional(
  () => library.func('int malloc_trim(size_t)').async,
)
const uvDefaultLoop: () => bigint | null = library.func('void* uv_default_loop()')
const uvBackendFd: (loop: bigint | null) => Int = library.func('int uv_backend_fd(void*)')

function optional<T>(find: () => T): T | undefined {
  try {
    return find()
  } catch {
    return undefined
  }
}

/** Why the last call failed; to be read right after it. */
export function errno(): number {
  return koffi.errno()
}

/** The error of a call that returned -1, with the code that Node would give it. */
export function systemError(call: string, code = errno()): NodeJS.ErrnoException {
  const name = getSystemErrorName(-code)
  return Object.assign(new Error(`${call}: ${getSystemErrorMessage(-code)} (${name})`), {
    code: name,
    syscall: call,
  })
}

/** Throws where a call failed; hands on what it returned otherwise. */
export function checked(call: string, result: number): number {
  if (result < 0) throw systemError(call)
  return result
}

/** The descriptor that is readable when the event loop of Node's main thread has something to do. */
export function nodeLoopFd(): number {
  return uvBackendFd(uvDefaultLoop())
}

/** Mapped memory as JavaScript sees it. */
export function viewOf(address: number, length: number): ArrayBuffer {
  return koffi.view(BigInt(address), length)
}
