import koffi from 'koffi'
import { AF_INET, SOCK_DGRAM } from '../constants.ts'
import { checked, close, socket } from '../ffi.ts'
import { Memory } from '../memory.ts'

const ETHTOOL_IOCTL = 0x8946
const SET_TX_CHECKSUMS = 0x17
const NAME_BYTES = 16
const ioctl: (fd: number, request: number, argument: number) => number = koffi
  .load(null)
  .func('int ioctl(int, unsigned long, uintptr_t)')

/** Whether an interface of this thread's namespace leaves checksums to the (imagined) hardware. */
export function setChecksumOffload(name: string, on: boolean): void {
  const memory = new Memory(4096)
  const request = memory.take(64)
  const value = memory.take(8)
  memory.bytes.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1), request)
  memory.setPointer(request + NAME_BYTES, value)
  memory.u32[value >> 2] = SET_TX_CHECKSUMS
  memory.u32[(value >> 2) + 1] = on ? 1 : 0
  const fd = checked('socket', socket(AF_INET, SOCK_DGRAM, 0))
  try {
    checked('ioctl', ioctl(fd, ETHTOOL_IOCTL, memory.address(request)))
  } finally {
    close(fd)
  }
}
