import type { TransportAddress } from '../../../stun/address.ts'
import { AF_NETLINK } from '../constants.ts'
import { checked, close, read, socket, write } from '../ffi.ts'
import type { Memory } from '../memory.ts'
import { FAMILY_NUMBER } from './layout.ts'

/** Where packets between two addresses leave this host. */
export interface Route {
  readonly interfaceIndex: number
  /** Longest IP packet. */
  readonly mtu: number
  /** The next hop: a gateway, or the destination itself. */
  readonly family: number
  readonly next: Uint8Array
  /** The address packets leave from, of the family of the destination. */
  readonly source: Uint8Array
}

const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const GET_LINK = 18
const NEW_ROUTE = 24
const NEW_LINK = 16
const GET_ROUTE = 26
const REQUEST = 1
const HEADER_BYTES = 16
const ROUTE_BYTES = 12
const LINK_BYTES = 16
const UNICAST = 1
const ETHERNET = 1
const ATTRIBUTE = {
  destination: 1,
  source: 2,
  interfaceIndex: 4,
  gateway: 5,
  preferredSource: 7,
  metrics: 8,
  via: 18,
}
const METRIC_MTU = 2
const LINK_MTU = 4
const MESSAGE_BYTES = 8192

/** What a `Routes` takes of a `Memory`. */
export const ROUTES_MEMORY_BYTES = MESSAGE_BYTES + 64

/** Asks the kernel for routes (rtnetlink(7)). */
export class Routes {
  readonly #memory: Memory
  readonly #view: DataView
  readonly #at: number
  readonly #fd: number
  #sequence = 0

  constructor(memory: Memory) {
    this.#memory = memory
    this.#at = memory.take(MESSAGE_BYTES)
    this.#view = new DataView(memory.bytes.buffer)
    this.#fd = checked('socket', socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0))
  }

  /** The route to a destination by Ethernet from an address of this host, or, where that is unspecified, from any; undefined: none. */
  find(to: TransportAddress, from: TransportAddress): Route | undefined {
    const addressBytes = to.family === 6 ? 16 : 4
    this.#begin(GET_ROUTE, ROUTE_BYTES)
    this.#memory.bytes[this.#at + HEADER_BYTES] = FAMILY_NUMBER[to.family]
    this.#memory.bytes[this.#at + HEADER_BYTES + 1] = addressBytes * 8
    let length = HEADER_BYTES + ROUTE_BYTES
    length = this.#addAddress(length, ATTRIBUTE.destination, to)
    if (!isUnspecified(from)) {
      this.#memory.bytes[this.#at + HEADER_BYTES + 2] = addressBytes * 8
      length = this.#addAddress(length, ATTRIBUTE.source, from)
    }
    const end = this.#ask(length, NEW_ROUTE)
    if (this.#memory.bytes[this.#at + HEADER_BYTES + 7] !== UNICAST) return undefined
    return this.#readRoute(end, to, from)
  }

  close(): void {
    close(this.#fd)
  }

  #readRoute(end: number, to: TransportAddress, from: TransportAddress): Route | undefined {
    let interfaceIndex = 0
    let mtu = 0
    let family = FAMILY_NUMBER[to.family]
    let next = ipBytes(to)
    let source = ipBytes(from)
    this.#eachAttribute(HEADER_BYTES + ROUTE_BYTES, end, (type, at, length) => {
      const value = this.#memory.bytes.slice(at, at + length)
      if (type === ATTRIBUTE.interfaceIndex) interfaceIndex = this.#view.getUint32(at, true)
      else if (type === ATTRIBUTE.gateway) next = value
      else if (type === ATTRIBUTE.preferredSource && isUnspecified(from)) source = value
      else if (type === ATTRIBUTE.via) {
        family = this.#view.getUint16(at, true)
        next = value.slice(2)
      } else if (type === ATTRIBUTE.metrics) {
        this.#eachAttribute(at - this.#at, at + length - this.#at, (metric, metricAt) => {
          if (metric === METRIC_MTU) mtu = this.#view.getUint32(metricAt, true)
        })
      }
    })
    if (interfaceIndex === 0 || source.every((byte) => byte === 0)) return undefined
    const linkMtu = this.#mtuOf(interfaceIndex)
    if (linkMtu === 0) return undefined
    return { interfaceIndex, mtu: mtu > 0 ? Math.min(mtu, linkMtu) : linkMtu, family, next, source }
  }

  /** The MTU of an Ethernet interface; 0 for any other. */
  #mtuOf(interfaceIndex: number): number {
    this.#begin(GET_LINK, LINK_BYTES)
    this.#view.setUint32(this.#at + HEADER_BYTES + 4, interfaceIndex, true)
    const end = this.#ask(HEADER_BYTES + LINK_BYTES, NEW_LINK)
    if (end === 0 || this.#view.getUint16(this.#at + HEADER_BYTES + 2, true) !== ETHERNET) return 0
    let mtu = 0
    this.#eachAttribute(HEADER_BYTES + LINK_BYTES, end, (type, at) => {
      if (type === LINK_MTU) mtu = this.#view.getUint32(at, true)
    })
    return mtu
  }

  #begin(type: number, bodyBytes: number): void {
    const at = this.#at
    this.#memory.bytes.fill(0, at, at + HEADER_BYTES + bodyBytes)
    this.#view.setUint16(at + 4, type, true)
    this.#view.setUint16(at + 6, REQUEST, true)
    this.#view.setUint32(at + 8, ++this.#sequence, true)
  }

  #addAddress(length: number, type: number, address: TransportAddress): number {
    const bytes = ipBytes(address)
    const at = this.#at + length
    this.#view.setUint16(at, 4 + bytes.length, true)
    this.#view.setUint16(at + 2, type, true)
    this.#memory.bytes.set(bytes, at + 4)
    return length + 4 + bytes.length
  }

  /** Sends a request; the length of the answer, which stands in its place, or 0 where it is another. */
  #ask(length: number, answer: number): number {
    this.#view.setUint32(this.#at, length, true)
    const address = this.#memory.address(this.#at)
    if (write(this.#fd, address, length) !== length) return 0
    const received = read(this.#fd, address, MESSAGE_BYTES)
    const isAnswer = received >= HEADER_BYTES && this.#view.getUint16(this.#at + 4, true) === answer
    return isAnswer ? Math.min(received, this.#view.getUint32(this.#at, true)) : this.#noAnswer()
  }

  #noAnswer(): number {
    this.#memory.bytes.fill(0, this.#at, this.#at + HEADER_BYTES + LINK_BYTES)
    return 0
  }

  /** Calls with the type of each attribute, where its value begins in the memory, and its length. */
  #eachAttribute(start: number, end: number, each: (type: number, at: number, length: number) => void): void {
    let offset = start
    while (offset + 4 <= end) {
      const length = this.#view.getUint16(this.#at + offset, true)
      if (length < 4 || offset + length > end) return
      each(this.#view.getUint16(this.#at + offset + 2, true) & 0x3fff, this.#at + offset + 4, length - 4)
      offset += (length + 3) & ~3
    }
  }
}

/** An address as it stands in a packet. */
function ipBytes({ family, w0, w1, w2, w3 }: TransportAddress): Uint8Array {
  const bytes = new Uint8Array(family === 6 ? 16 : 4)
  const view = new DataView(bytes.buffer)
  const words = family === 6 ? [w0, w1, w2, w3] : [w3]
  words.forEach((word, i) => {
    view.setUint32(i * 4, word)
  })
  return bytes
}

function isUnspecified({ w0, w1, w2, w3 }: TransportAddress): boolean {
  return (w0 | w1 | w2 | w3) === 0
}
