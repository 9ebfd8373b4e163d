import { TransportAddress } from '../../stun/address.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../turn/contract.ts'
import {
  EAGAIN,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TCLASS,
  MSG_DONTWAIT,
  SOL_UDP,
  UDP_GRO,
} from './constants.ts'
import { errno, recvmmsg } from './ffi.ts'
import type { Memory } from './memory.ts'
import { MessageHeaders } from './message-headers.ts'
import { readSockaddr, SOCKADDR_BYTES } from './sockaddr.ts'

/** Messages that one system call may bring; more win nothing. */
export const RECEIVE_BATCH = 64
/** Largest UDP payload, and what the kernel joins at most. */
const MESSAGE_BYTES_MAX = 65_535
/**
 * Room for the largest message, of which a usual one touches a page. An odd number of cache lines beyond a
 * page, so that the beginnings of slots spread over the whole cache.
 */
const SLOT_BYTES = 17 * 4096 + 19 * 64
/** A control message that holds an int, or a byte: header, value, padding. */
const CONTROL_MESSAGE_BYTES = 24
/** The size of what was joined, and the traffic class. */
const CONTROL_BYTES = 2 * CONTROL_MESSAGE_BYTES

/** What the receive ring takes of a `Memory`. */
export const RECEIVE_RING_BYTES = RECEIVE_BATCH * (SLOT_BYTES + SOCKADDR_BYTES + CONTROL_BYTES + 128) + 4096

/**
 * Slots that messages are received into, one socket's batch at a time. A message is a datagram, or several of
 * one sender that the kernel joined (UDP_GRO). `receive` fetches, `next` walks over the datagrams one by one.
 */
export class ReceiveRing {
  /** The datagram at hand, valid until `next`: HEAD_ROOM_BYTES before it and TAIL_ROOM_BYTES behind may be written. */
  offset = 0
  length = 0
  /** DSCP and ECN, where the socket asks for them: the kernel joins none of different classes. */
  trafficClass = 0
  readonly from = new TransportAddress()
  readonly #memory: Memory
  readonly #slots: number
  readonly #names: number
  readonly #control: number
  readonly #headers: MessageHeaders
  readonly #tail = new Uint8Array(TAIL_ROOM_BYTES)
  #messages = 0
  #message = 0
  /** Bytes of the message at hand behind the datagram at hand, and the length of each but the last. */
  #left = 0
  #segment = 0

  constructor(memory: Memory) {
    this.#memory = memory
    this.#slots = memory.take(RECEIVE_BATCH * SLOT_BYTES)
    this.#names = memory.take(RECEIVE_BATCH * SOCKADDR_BYTES)
    this.#control = memory.take(RECEIVE_BATCH * CONTROL_BYTES)
    this.#headers = new MessageHeaders(memory, RECEIVE_BATCH, RECEIVE_BATCH)
    for (let i = 0; i < RECEIVE_BATCH; i++) {
      this.#headers.setName(i, this.#names + i * SOCKADDR_BYTES, SOCKADDR_BYTES)
      this.#headers.setControl(i, this.#control + i * CONTROL_BYTES, CONTROL_BYTES)
      this.#headers.setVector(i, this.#slot(i), MESSAGE_BYTES_MAX)
      this.#headers.setVectors(i, i, 1)
    }
  }

  /** Takes what a socket holds; false where there may be no more than that. */
  receive(fd: number): boolean {
    while (this.#message < this.#messages) this.#makeRoom(this.#message++)
    const count = recvmmsg(fd, this.#headers.address(0), RECEIVE_BATCH, MSG_DONTWAIT, 0)
    this.#messages = Math.max(0, count)
    this.#message = 0
    this.#left = 0
    // An error that ICMP brought is told in place of what the socket holds.
    return count === RECEIVE_BATCH || (count < 0 && errno() !== EAGAIN)
  }

  /** Goes to the next datagram; false where there is none. */
  next(): boolean {
    if (this.#left > 0) return this.#nextSegment()
    while (this.#message < this.#messages) {
      const message = this.#message++
      const received = this.#headers.received(message)
      this.#readControl(message)
      this.#makeRoom(message)
      if (!readSockaddr(this.#memory, this.#names + message * SOCKADDR_BYTES, this.from)) continue
      if (this.#segment === 0) this.#segment = received
      this.#take(this.#slot(message), received)
      return true
    }
    return false
  }

  /** What the kernel joined lies without gaps: the tail room of a datagram is the beginning of the next. */
  #nextSegment(): boolean {
    const at = this.offset + this.length
    this.#memory.bytes.set(this.#tail, at)
    this.#take(at, this.#left)
    return true
  }

  #take(at: number, available: number): void {
    const length = Math.min(this.#segment, available)
    this.offset = at
    this.length = length
    this.#left = available - length
    if (this.#left === 0) return
    const { bytes } = this.#memory
    for (let i = 0; i < TAIL_ROOM_BYTES; i++) this.#tail[i] = bytes[at + length + i]!
  }

  /** The length of the datagrams that a message is joined of, 0 where it is one, and the class of all. */
  #readControl(message: number): void {
    this.#segment = 0
    this.trafficClass = 0
    const { bytes, i32 } = this.#memory
    const start = this.#control + message * CONTROL_BYTES
    const end = start + this.#headers.controlLength(message)
    for (let at = start; at < end; at += CONTROL_MESSAGE_BYTES) {
      const level = i32[(at + 8) >> 2]
      const type = i32[(at + 12) >> 2]
      if (level === SOL_UDP && type === UDP_GRO) this.#segment = i32[(at + 16) >> 2]!
      else if ((level === IPPROTO_IP && type === IP_TOS) || (level === IPPROTO_IPV6 && type === IPV6_TCLASS))
        this.trafficClass = bytes[at + 16]!
    }
  }

  /** The kernel has overwritten how much room there is with what it used of it. */
  #makeRoom(message: number): void {
    this.#headers.setRoom(message, SOCKADDR_BYTES, CONTROL_BYTES)
  }

  #slot(message: number): number {
    return this.#slots + message * SLOT_BYTES + HEAD_ROOM_BYTES
  }
}
