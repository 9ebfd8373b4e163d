import { TransportAddress } from './address.ts'
import { readUint16, readUint32 } from './wire.ts'

/** Longest header that is accepted, its TLVs included. */
export const PROXY_HEADER_BYTES_MAX = 4096

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]
const VERSION_AND_COMMAND_AT = SIGNATURE.length
const FAMILY_AND_TRANSPORT_AT = VERSION_AND_COMMAND_AT + 1
const LENGTH_AT = FAMILY_AND_TRANSPORT_AT + 1
const ADDRESSES_AT = LENGTH_AT + 2
const VERSION_2_LOCAL = 0x20
const VERSION_2_PROXY = 0x21
/** Families (the high half of their byte) by how many bytes the addresses and ports of both ends take. */
const ADDRESSES_BYTES: Readonly<Record<number, number>> = { 16: 12, 32: 36 }
const TRANSPORTS = { stream: 0x01, datagram: 0x02 } as const

/**
 * Reads headers of the PROXY protocol, version 2, with which a load balancer says whose bytes follow (HAProxy's
 * specification, section 2.2). One instance is reused; `read` allocates nothing.
 */
export class ProxyHeader {
  /** False: the balancer itself is the client (LOCAL), and `source` and `destination` say nothing. */
  relayed = false
  /** The client, and the address of the balancer that it connected to. */
  readonly source = new TransportAddress()
  readonly destination = new TransportAddress()

  /** How many bytes the header has; 0 while more of it must come, -1 where it is none. */
  read(buffer: Uint8Array, offset: number, length: number, transport: 'stream' | 'datagram'): number {
    const addressesBytes = this.#addressesBytes(buffer, offset, length, transport)
    if (addressesBytes < 0) return -1
    if (length < ADDRESSES_AT) return 0
    const body = readUint16(buffer, offset + LENGTH_AT)
    const total = ADDRESSES_AT + body
    if (body < addressesBytes || total > PROXY_HEADER_BYTES_MAX) return -1
    if (length < total) return 0
    this.relayed = addressesBytes > 0
    if (this.relayed) this.#readAddresses(buffer, offset + ADDRESSES_AT, (addressesBytes - 4) / 2)
    return total
  }

  /** How many bytes the addresses take, 0 as long as that is not known; -1 where this is no header, told by the first byte that shows it. */
  #addressesBytes(
    buffer: Uint8Array,
    offset: number,
    length: number,
    transport: 'stream' | 'datagram',
  ): number {
    for (let i = 0; i < SIGNATURE.length && i < length; i++) {
      if (buffer[offset + i] !== SIGNATURE[i]) return -1
    }
    if (length <= VERSION_AND_COMMAND_AT) return 0
    const command = buffer[offset + VERSION_AND_COMMAND_AT]
    if (command === VERSION_2_LOCAL) return 0
    if (command !== VERSION_2_PROXY) return -1
    if (length <= FAMILY_AND_TRANSPORT_AT) return 0
    const kind = buffer[offset + FAMILY_AND_TRANSPORT_AT]!
    return (kind & 0x0f) === TRANSPORTS[transport] ? (ADDRESSES_BYTES[kind & 0xf0] ?? -1) : -1
  }

  #readAddresses(buffer: Uint8Array, at: number, ipBytes: number): void {
    const ports = at + 2 * ipBytes
    readIp(buffer, at, ipBytes, readUint16(buffer, ports), this.source)
    readIp(buffer, at + ipBytes, ipBytes, readUint16(buffer, ports + 2), this.destination)
  }
}

/** An IPv4 address inside an IPv6 one is that IPv4 address (RFC 4291 §2.5.5.2). */
function readIp(buffer: Uint8Array, at: number, bytes: number, port: number, into: TransportAddress): void {
  if (bytes === 4) {
    into.set4(readUint32(buffer, at), port)
    return
  }
  const w0 = readUint32(buffer, at)
  const w1 = readUint32(buffer, at + 4)
  const w2 = readUint32(buffer, at + 8)
  const w3 = readUint32(buffer, at + 12)
  if (w0 === 0 && w1 === 0 && w2 === 0xffff) into.set4(w3, port)
  else into.set6(w0, w1, w2, w3, port)
}
