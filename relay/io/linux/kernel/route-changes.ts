import { AF_NETLINK } from '../constants.ts'
import { bind, checked, close, errno, read, socket } from '../ffi.ts'
import type { Memory } from '../memory.ts'

const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000
/** Links, and routes of IPv4 and IPv6 (RTMGRP_*). */
const GROUPS = 0x1 | 0x40 | 0x400
const NAME_BYTES = 12
const MESSAGE_BYTES = 8192
/** The kernel had more to say than the socket holds. */
const ENOBUFS = 105
/** Messages that one look reads; what is left is seen by the next. */
const READS_MAX = 32

/** What a `RouteChanges` takes of a `Memory`. */
export const ROUTE_CHANGES_MEMORY_BYTES = NAME_BYTES + MESSAGE_BYTES + 64

/** Hears that routes or links of this network namespace have changed (rtnetlink(7)), but not how. */
export class RouteChanges {
  readonly #fd: number
  readonly #buffer: number

  constructor(memory: Memory) {
    this.#buffer = memory.address(memory.take(MESSAGE_BYTES))
    const name = memory.take(NAME_BYTES)
    memory.bytes.fill(0, name, name + NAME_BYTES)
    memory.u16[name >> 1] = AF_NETLINK
    memory.u32[(name >> 2) + 2] = GROUPS
    this.#fd = checked('socket', socket(AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, 0))
    try {
      checked('bind', bind(this.#fd, memory.address(name), NAME_BYTES))
    } catch (error) {
      close(this.#fd)
      throw error
    }
  }

  /** Whether there was one since the last look. */
  look(): boolean {
    let changed = false
    for (let i = 0; i < READS_MAX; i++) {
      if (read(this.#fd, this.#buffer, MESSAGE_BYTES) > 0) changed = true
      else return changed || errno() === ENOBUFS
    }
    return changed
  }

  close(): void {
    close(this.#fd)
  }
}
