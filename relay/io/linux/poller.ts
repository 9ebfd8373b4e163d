import { arch } from 'node:process'
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLIN,
} from './constants.ts'
import {
  checked,
  close,
  epollCreate1,
  epollCtl,
  epollWait,
  epollWaitAsync,
  eventfd,
  eventfdWrite,
  read,
} from './ffi.ts'
import type { Memory } from './memory.ts'

/** Sockets that one wait may name; the others come with the next. */
const EVENTS_MAX = 256
/** `struct epoll_event` is packed on x86-64 only. */
const EVENT_BYTES = arch === 'x64' ? 12 : 16
const DATA_AT = arch === 'x64' ? 4 : 8

/** An epoll instance over file descriptors that are read, with a way to end a wait from elsewhere. */
export class Poller {
  readonly #memory: Memory
  readonly #events: number
  readonly #event: number
  readonly #value: number
  readonly #epoll: number
  readonly #kick: number
  #waiting = false
  #kicked = false

  constructor(memory: Memory) {
    this.#memory = memory
    this.#events = memory.take(EVENTS_MAX * EVENT_BYTES)
    this.#event = memory.take(EVENT_BYTES)
    this.#value = memory.take(8)
    this.#epoll = checked('epoll_create1', epollCreate1(EPOLL_CLOEXEC))
    this.#kick = checked('eventfd', eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
    this.add(this.#kick)
  }

  add(fd: number, events = EPOLLIN): void {
    this.#control(EPOLL_CTL_ADD, fd, events)
  }

  /** What a descriptor that was added is watched for; with EPOLLET it is named anew where it is ready now. */
  watch(fd: number, events: number): void {
    this.#control(EPOLL_CTL_MOD, fd, events)
  }

  #control(operation: number, fd: number, events: number): void {
    const { u32 } = this.#memory
    u32[this.#event >> 2] = events
    u32[(this.#event + DATA_AT) >> 2] = fd
    checked('epoll_ctl', epollCtl(this.#epoll, operation, fd, this.#memory.address(this.#event)))
  }

  /** Needed only for what stays open: closing a descriptor removes it. */
  remove(fd: number): void {
    epollCtl(this.#epoll, EPOLL_CTL_DEL, fd, this.#memory.address(this.#event))
  }

  /** Waits for descriptors to read from; returns how many there are, to be asked for by `ready`. */
  wait(timeoutMs: number): number {
    this.#kicked = false
    return Math.max(0, epollWait(this.#epoll, this.#memory.address(this.#events), EVENTS_MAX, timeoutMs))
  }

  /** Like `wait` without holding up the thread; nothing else may wait meanwhile. */
  waitAside(timeoutMs: number, done: (count: number) => void): void {
    this.#waiting = true
    const events = this.#memory.address(this.#events)
    epollWaitAsync(this.#epoll, events, EVENTS_MAX, timeoutMs, (_error, count) => {
      this.#waiting = false
      done(Math.max(0, count))
    })
  }

  get waitingAside(): boolean {
    return this.#waiting
  }

  /** The descriptor of one event of the last wait; -1 where it was only a call of `kick`. */
  ready(event: number): number {
    const fd = this.#memory.i32[(this.#events + event * EVENT_BYTES + DATA_AT) >> 2]!
    if (fd !== this.#kick) return fd
    this.#kicked = true
    read(this.#kick, this.#memory.address(this.#value), 8)
    return -1
  }

  /** Whether the descriptor of an event has an error that waits to be read. */
  failed(event: number): boolean {
    return (this.#memory.u32[(this.#events + event * EVENT_BYTES) >> 2]! & EPOLLERR) !== 0
  }

  /** What it is ready for. */
  events(event: number): number {
    return this.#memory.u32[(this.#events + event * EVENT_BYTES) >> 2]!
  }

  /** Whether the last wait was ended by a kick, as far as its events were asked for. */
  get kicked(): boolean {
    return this.#kicked
  }

  /** What `kickPoller` takes, on any thread of this process. */
  get kickFd(): number {
    return this.#kick
  }

  /** Ends a wait aside. */
  kick(): void {
    kickPoller(this.#kick)
  }

  close(): void {
    close(this.#kick)
    close(this.#epoll)
  }
}

/** Ends the wait of a poller, by its `kickFd`. */
export function kickPoller(kickFd: number): void {
  eventfdWrite(kickFd, 1)
}
