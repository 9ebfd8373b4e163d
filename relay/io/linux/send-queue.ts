import type { TransportAddress } from '../../stun/address.ts'
import {
  EAGAIN,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENOBUFS,
  EOPNOTSUPP,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TCLASS,
  MSG_DONTWAIT,
  SOL_UDP,
  UDP_SEGMENT,
  UDP_SEGMENTS_MAX,
} from './constants.ts'
import { errno, sendmmsg, sendto } from './ffi.ts'
import type { Memory } from './memory.ts'
import { MessageHeaders } from './message-headers.ts'
import { SOCKADDR_BYTES, SOCKADDR_IN_BYTES, sameSockaddr, writeSockaddr } from './sockaddr.ts'
import type { UdpSocket } from './udp-socket.ts'

/** Datagrams that may wait for the end of a batch; more leave in parts. */
export const SEND_QUEUE_DATAGRAMS = 1024
const SEND_QUEUE_BYTES = 1_048_576
/** The message and the vector behind those of the queue, for a datagram that is sent alone. */
const SPARE = SEND_QUEUE_DATAGRAMS
/** What one send may carry, headers left out: an IP packet has 65,535 bytes. */
const RUN_BYTES_MAX = 65_000
/** Up to so many bytes a loop is faster than a view of a buffer. */
const LOOP_BYTES_MAX = 256
/** Longer segments do not fit the usual path, and the kernel cuts only what needs no fragments. */
const SEGMENT_BYTES_MAX = 1472
/** How often a send is tried again that may have failed for another one's error. */
const TRIES_MAX = 3
/** A control message: header, value, padding. */
const CONTROL_MESSAGE_BYTES = 24
/** The size of segments, two bytes, and the traffic class, an int. */
const CONTROL_BYTES = 2 * CONTROL_MESSAGE_BYTES
const SEGMENT_LENGTH = 18
const CLASS_LENGTH = 20

/** What the send queue takes of a `Memory`. */
export const SEND_MEMORY_BYTES =
  SEND_QUEUE_BYTES + SEND_QUEUE_DATAGRAMS * (SOCKADDR_BYTES + CONTROL_BYTES + 128) + 4096

/**
 * Datagrams on their way out. They are copied in one after the other and leave at `flush`, gathered by socket:
 * one system call for each, and one message for each run to the same destination, which the kernel cuts into
 * datagrams again (UDP_SEGMENT). Datagrams of one socket keep their order.
 */
export class SendQueue {
  readonly #memory: Memory
  readonly #counters: { sendErrors: number }
  readonly #payload: number
  readonly #names: number
  readonly #control: number
  readonly #headers: MessageHeaders
  readonly #start = new Uint32Array(SEND_QUEUE_DATAGRAMS)
  readonly #length = new Uint32Array(SEND_QUEUE_DATAGRAMS)
  readonly #nameLength = new Uint8Array(SEND_QUEUE_DATAGRAMS)
  readonly #class = new Uint8Array(SEND_QUEUE_DATAGRAMS)
  /** The next datagram of the same socket, or -1. */
  readonly #next = new Int32Array(SEND_QUEUE_DATAGRAMS)
  /** By message: its first datagram, and how many it carries. */
  readonly #first = new Int32Array(SEND_QUEUE_DATAGRAMS)
  readonly #segments = new Uint8Array(SEND_QUEUE_DATAGRAMS)
  /** The sockets that have something to send: the first of this fixed array. */
  readonly #sockets: (UdpSocket | undefined)[] = new Array(SEND_QUEUE_DATAGRAMS).fill(undefined)
  #socketCount = 0
  #count = 0
  #bytes = 0
  #messages = 0
  #vectors = 0
  #segmentation = true

  constructor(memory: Memory, counters: { sendErrors: number }) {
    this.#memory = memory
    this.#counters = counters
    this.#payload = memory.take(SEND_QUEUE_BYTES)
    this.#names = memory.take(SEND_QUEUE_DATAGRAMS * SOCKADDR_BYTES)
    this.#control = memory.take(SEND_QUEUE_DATAGRAMS * CONTROL_BYTES)
    this.#headers = new MessageHeaders(memory, SPARE + 1, SPARE + 1)
    this.#headers.setVectors(SPARE, SPARE, 1)
    for (let i = 0; i < SEND_QUEUE_DATAGRAMS; i++) {
      const control = (this.#control + i * CONTROL_BYTES) >> 2
      memory.u32[control] = SEGMENT_LENGTH
      memory.u32[control + 2] = SOL_UDP
      memory.u32[control + 3] = UDP_SEGMENT
      memory.u32[control + CONTROL_MESSAGE_BYTES / 4] = CLASS_LENGTH
    }
  }

  /** Copies a datagram in, which leaves with this DSCP and ECN. */
  push(
    socket: UdpSocket,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass = 0,
  ): void {
    if (length > SEND_QUEUE_BYTES) {
      this.#counters.sendErrors++
      return
    }
    if (this.#count === SEND_QUEUE_DATAGRAMS || this.#bytes + length > SEND_QUEUE_BYTES) this.flush()
    const { bytes } = this.#memory
    const start = this.#payload + this.#bytes
    if (buffer === bytes) bytes.copyWithin(start, offset, offset + length)
    else if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) bytes[start + i] = buffer[offset + i]!
    else bytes.set(buffer.subarray(offset, offset + length), start)
    const datagram = this.#count++
    this.#bytes += length
    this.#start[datagram] = start
    this.#length[datagram] = length
    this.#class[datagram] = trafficClass
    this.#nameLength[datagram] = writeSockaddr(this.#memory, this.#name(datagram), to)
    this.#append(socket, datagram)
  }

  /** Sends all that was pushed. */
  flush(): void {
    for (let i = 0; i < this.#socketCount; i++) {
      const socket = this.#sockets[i]!
      this.#sockets[i] = undefined
      if (socket.open) this.#send(socket)
      socket.queueHead = -1
      socket.queueTail = -1
    }
    this.#socketCount = 0
    this.#count = 0
    this.#bytes = 0
  }

  #append(socket: UdpSocket, datagram: number): void {
    this.#next[datagram] = -1
    if (socket.queueTail < 0) {
      socket.queueHead = datagram
      this.#sockets[this.#socketCount++] = socket
    } else {
      this.#next[socket.queueTail] = datagram
    }
    socket.queueTail = datagram
  }

  #send(socket: UdpSocket): void {
    if (socket.queueHead === socket.queueTail && this.#sendAlone(socket, socket.queueHead)) return
    this.#messages = 0
    this.#vectors = 0
    for (let at = socket.queueHead; at >= 0; ) at = this.#addRun(at)
    let done = 0
    let tries = 0
    while (done < this.#messages) {
      const sent = sendmmsg(socket.fd, this.#headers.address(done), this.#messages - done, MSG_DONTWAIT)
      const code = sent > 0 ? 0 : errno()
      if (code !== 0 && mayBeAnothers(socket, code, tries)) {
        tries++
        continue
      }
      tries = 0
      done += sent > 0 ? sent : this.#afterFailure(socket, done, code)
    }
  }

  /** One datagram without a message around it, which costs the kernel less; false where that does not do. */
  #sendAlone(socket: UdpSocket, datagram: number): boolean {
    if (this.#class[datagram] !== 0) return false
    const from = this.#memory.span(this.#start[datagram]!, this.#length[datagram]!)
    const name = this.#memory.address(this.#name(datagram))
    const length = this.#length[datagram]!
    return sendto(socket.fd, from, length, MSG_DONTWAIT, name, this.#nameLength[datagram]!) >= 0
  }

  /** Makes one message of a datagram and those behind it that may share its send; returns the next one. */
  #addRun(first: number): number {
    const message = this.#messages++
    const size = this.#length[first]!
    const firstVector = this.#vectors++
    this.#headers.setVector(firstVector, this.#start[first]!, size)
    let segments = 1
    let total = size
    let last = first
    let next = this.#next[first]!
    if (this.#segmentation && size > 0 && size <= SEGMENT_BYTES_MAX) {
      while (next >= 0 && this.#fits(first, last, next, segments, total)) {
        this.#addSegment(last, next)
        total += this.#length[next]!
        segments++
        last = next
        next = this.#next[next]!
      }
    }
    this.#finish(message, first, firstVector, segments)
    return next
  }

  /** All segments of a run are as long as the first; only the last may be shorter. */
  #fits(first: number, last: number, next: number, segments: number, total: number): boolean {
    const size = this.#length[first]!
    const length = this.#length[next]!
    return (
      length > 0 &&
      length <= size &&
      this.#length[last] === size &&
      this.#class[first] === this.#class[next] &&
      segments < UDP_SEGMENTS_MAX &&
      total + length <= RUN_BYTES_MAX &&
      sameSockaddr(this.#memory, this.#name(first), this.#name(next))
    )
  }

  #addSegment(last: number, next: number): void {
    const start = this.#start[next]!
    const length = this.#length[next]!
    if (this.#start[last]! + this.#length[last]! === start)
      this.#headers.growVector(this.#vectors - 1, length)
    else this.#headers.setVector(this.#vectors++, start, length)
  }

  #finish(message: number, first: number, firstVector: number, segments: number): void {
    this.#headers.setName(message, this.#name(first), this.#nameLength[first]!)
    this.#headers.setVectors(message, firstVector, this.#vectors - firstVector)
    this.#setControl(message, this.#control + message * CONTROL_BYTES, first, segments > 1)
    this.#first[message] = first
    this.#segments[message] = segments
  }

  /** Most messages are of class 0, which is what a socket sends unless it is told otherwise. */
  #setControl(message: number, control: number, first: number, joined: boolean): void {
    if (joined) this.#memory.u16[(control + 16) >> 1] = this.#length[first]!
    if (this.#class[first] === 0) {
      this.#headers.setControl(message, control, joined ? CONTROL_MESSAGE_BYTES : 0)
      return
    }
    const ofClass = control + CONTROL_MESSAGE_BYTES
    const { u32 } = this.#memory
    const ipv4 = this.#nameLength[first] === SOCKADDR_IN_BYTES
    u32[(ofClass + 8) >> 2] = ipv4 ? IPPROTO_IP : IPPROTO_IPV6
    u32[(ofClass + 12) >> 2] = ipv4 ? IP_TOS : IPV6_TCLASS
    u32[(ofClass + 16) >> 2] = this.#class[first]!
    if (joined) this.#headers.setControl(message, control, CONTROL_BYTES)
    else this.#headers.setControl(message, ofClass, CONTROL_MESSAGE_BYTES)
  }

  /** Returns how many messages are dealt with, sent or given up. */
  #afterFailure(socket: UdpSocket, message: number, code: number): number {
    switch (code) {
      case EAGAIN:
        // What would have to wait is media that is worth nothing later.
        for (let i = message; i < this.#messages; i++) this.#counters.sendErrors += this.#segments[i]!
        return this.#messages - message
      case EIO:
      case EOPNOTSUPP:
      case EINVAL:
      case EMSGSIZE:
        if (this.#segments[message]! === 1) break
        // EIO, EOPNOTSUPP: the device or the kernel cannot cut at all; the others: not this size on this path.
        if (code === EIO || code === EOPNOTSUPP) this.#segmentation = false
        this.#sendSingly(socket, message)
        return 1
    }
    // One destination's fault never holds up the others.
    this.#counters.sendErrors += this.#segments[message]!
    return 1
  }

  /** Sends the datagrams of a run one by one. */
  #sendSingly(socket: UdpSocket, message: number): void {
    let datagram = this.#first[message]!
    // All are of one class, which stands behind the size.
    this.#setControl(SPARE, this.#control + message * CONTROL_BYTES, datagram, false)
    for (let left = this.#segments[message]!; left > 0; left--) {
      this.#headers.setVector(SPARE, this.#start[datagram]!, this.#length[datagram]!)
      this.#headers.setName(SPARE, this.#name(datagram), this.#nameLength[datagram]!)
      if (!this.#sendSpare(socket)) this.#counters.sendErrors++
      datagram = this.#next[datagram]!
    }
  }

  #sendSpare(socket: UdpSocket): boolean {
    for (let tries = 0; ; tries++) {
      if (sendmmsg(socket.fd, this.#headers.address(SPARE), 1, MSG_DONTWAIT) > 0) return true
      if (!mayBeAnothers(socket, errno(), tries)) return false
    }
  }

  #name(datagram: number): number {
    return this.#names + datagram * SOCKADDR_BYTES
  }
}

/**
 * Whether a send may have failed for what ICMP said of an earlier one, to somebody else: the socket tells that once,
 * to whoever comes next. More than a few times in a row the fault is this destination's.
 */
function mayBeAnothers({ keepsErrors }: UdpSocket, code: number, tries: number): boolean {
  return keepsErrors && tries < TRIES_MAX && code !== EAGAIN && code !== ENOBUFS
}
