import { type AddressFamily, TransportAddress } from '../../stun/address.ts'
import {
  EMSGSIZE,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  SO_EE_ORIGIN_ICMP,
  SO_EE_ORIGIN_ICMP6,
  SO_EE_ORIGIN_LOCAL,
} from './constants.ts'
import { recvmmsg } from './ffi.ts'
import type { Memory } from './memory.ts'
import { MessageHeaders } from './message-headers.ts'
import { readSockaddr, SOCKADDR_BYTES } from './sockaddr.ts'

/** Errors that one system call may bring. */
const ERROR_BATCH = 32
/** The beginning of the packet that an error is about: nobody reads it. */
const PAYLOAD_BYTES = 8
/** A control message with `struct sock_extended_err` (16 bytes) and the address of who sent the error, and another. */
const CONTROL_BYTES = 128
const CONTROL_HEADER_BYTES = 16
const EXTENDED_ERROR_BYTES = 16

/** "Fragmentation needed and DF set", "packet too big". */
const TOO_BIG: Readonly<Record<AddressFamily, readonly [type: number, code: number]>> = {
  4: [3, 4],
  6: [2, 0],
}

/** Reads what sockets with IP_RECVERR were told by ICMP, one batch at a time (ip(7)). */
export class ErrorQueue {
  /** The error at hand, valid until `next`. Where the datagram was sent to; its port is known. */
  readonly peer = new TransportAddress()
  type = 0
  code = 0
  /** Of the next hop; 0 where the error names none. */
  mtu = 0
  readonly #memory: Memory
  readonly #names: number
  readonly #control: number
  readonly #headers: MessageHeaders
  #count = 0
  #at = 0

  constructor(memory: Memory) {
    this.#memory = memory
    this.#names = memory.take(ERROR_BATCH * SOCKADDR_BYTES)
    this.#control = memory.take(ERROR_BATCH * CONTROL_BYTES)
    const payload = memory.take(ERROR_BATCH * PAYLOAD_BYTES)
    this.#headers = new MessageHeaders(memory, ERROR_BATCH, ERROR_BATCH)
    for (let i = 0; i < ERROR_BATCH; i++) {
      this.#headers.setName(i, this.#names + i * SOCKADDR_BYTES, SOCKADDR_BYTES)
      this.#headers.setControl(i, this.#control + i * CONTROL_BYTES, CONTROL_BYTES)
      this.#headers.setVector(i, payload + i * PAYLOAD_BYTES, PAYLOAD_BYTES)
      this.#headers.setVectors(i, i, 1)
    }
  }

  /** Takes a batch of the errors that a socket holds; what is left makes the poller name it again. */
  receive(fd: number): void {
    for (let i = 0; i < ERROR_BATCH; i++) this.#headers.setRoom(i, SOCKADDR_BYTES, CONTROL_BYTES)
    this.#count = Math.max(
      0,
      recvmmsg(fd, this.#headers.address(0), ERROR_BATCH, MSG_DONTWAIT | MSG_ERRQUEUE, 0),
    )
    this.#at = 0
  }

  /** Goes to the next error; false where there is none. */
  next(): boolean {
    while (this.#at < this.#count) {
      const message = this.#at++
      const known = readSockaddr(this.#memory, this.#names + message * SOCKADDR_BYTES, this.peer)
      if (known && this.#readControl(message)) return true
    }
    return false
  }

  /** Goes through the control messages, whose lengths the kernel wrote. */
  #readControl(message: number): boolean {
    const { u32 } = this.#memory
    const start = this.#control + message * CONTROL_BYTES
    const end = start + Math.min(this.#headers.controlLength(message), CONTROL_BYTES)
    let at = start
    while (at + CONTROL_HEADER_BYTES + EXTENDED_ERROR_BYTES <= end) {
      const length = u32[at >> 2]!
      const [level, type] = [u32[(at + 8) >> 2], u32[(at + 12) >> 2]]
      const isError =
        (level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR)
      if (isError) return this.#readExtendedError(at + CONTROL_HEADER_BYTES)
      if (length < CONTROL_HEADER_BYTES) return false
      at += Math.ceil(length / 8) * 8
    }
    return false
  }

  /** What this host itself would not send as too big is told like what a router would not. */
  #readExtendedError(at: number): boolean {
    const { bytes, u32 } = this.#memory
    const origin = bytes[at + 4]
    this.mtu = u32[(at + 8) >> 2]!
    if (origin === SO_EE_ORIGIN_ICMP || origin === SO_EE_ORIGIN_ICMP6) {
      this.type = bytes[at + 5]!
      this.code = bytes[at + 6]!
      return true
    }
    if (origin !== SO_EE_ORIGIN_LOCAL || u32[at >> 2] !== EMSGSIZE) return false
    const [type, code] = TOO_BIG[this.peer.family]
    this.type = type
    this.code = code
    return true
  }
}
