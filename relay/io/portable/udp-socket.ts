import dgram from 'node:dgram'
import { TransportAddress } from '../../stun/address.ts'
import { parseAddressInto } from '../../stun/address-text.ts'
import { HEAD_ROOM_BYTES } from '../../turn/contract.ts'
import type { Arena } from './arena.ts'
import { copyOf } from './copy-of.ts'
import { cachedIpText } from './ip-text-cache.ts'

export interface UdpSocketOptions {
  /** Literal address. */
  readonly address: string
  readonly port: number
  readonly bufferBytes: number
}

export interface UdpSocketEvents {
  bound(address: string, port: number): void
  /** Binding failed: nothing more comes. */
  failed(error: NodeJS.ErrnoException): void
  /** `buffer` is the arena. */
  received(from: TransportAddress, buffer: Uint8Array, offset: number, length: number): void
  sendFailed(): void
}

/** Datagrams that wait for a socket whose kernel buffer is full; media that waits longer is worthless. */
const MAX_QUEUED_DATAGRAMS = 64

/** One bound UDP socket that never lets one destination's error touch another. */
export class UdpSocket {
  readonly #socket: dgram.Socket
  readonly #options: { address: string; port: number }
  readonly #arena: Arena
  readonly #events: UdpSocketEvents
  readonly #from = new TransportAddress()
  readonly #onSent: (error: Error | null) => void
  #bound = false
  #closed = false

  constructor(options: UdpSocketOptions, arena: Arena, events: UdpSocketEvents) {
    this.#arena = arena
    this.#events = events
    this.#onSent = (error) => {
      if (error) events.sendFailed()
    }
    this.#options = { address: options.address, port: options.port }
    const ipv6 = options.address.includes(':')
    this.#socket = dgram.createSocket({
      type: ipv6 ? 'udp6' : 'udp4',
      ipv6Only: ipv6,
      recvBufferSize: options.bufferBytes,
      sendBufferSize: options.bufferBytes,
      lookup: takeLiteral,
    })
    this.#socket.on('error', (error) => {
      if (this.#bound || this.#closed) return
      this.close()
      events.failed(error)
    })
    this.#socket.on('listening', () => {
      this.#bound = true
      const { address, port } = this.#socket.address()
      events.bound(address, port)
    })
    this.#socket.on('message', (message, remote) => this.#receive(message, remote))
  }

  /** Answered by `bound` or `failed`, within the call where the system answers at once. */
  bind(): void {
    this.#socket.bind({ ...this.#options, exclusive: true })
  }

  send(to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void {
    if (this.#closed) return
    const queued = this.#socket.getSendQueueCount()
    if (queued >= MAX_QUEUED_DATAGRAMS) {
      this.#events.sendFailed()
      return
    }
    const borrowed = queued === 0 && buffer === this.#arena.bytes
    const bytes = borrowed ? buffer.subarray(offset, offset + length) : copyOf(buffer, offset, length)
    try {
      this.#socket.send(bytes, to.port, cachedIpText(to), this.#onSent)
    } catch {
      this.#events.sendFailed()
      return
    }
    if (borrowed && this.#socket.getSendQueueCount() > 0) this.#arena.renew()
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    this.#closed = true
    return new Promise((resolve) => this.#socket.close(() => resolve()))
  }

  #receive(message: Uint8Array, remote: dgram.RemoteInfo): void {
    if (this.#closed || !this.#arena.fill(message)) return
    if (!parseAddressInto(remote.address, remote.port, this.#from)) return
    this.#events.received(this.#from, this.#arena.bytes, HEAD_ROOM_BYTES, message.length)
  }
}

/** Addresses here are literal: answering at once lets node:dgram bind and send within the call. */
function takeLiteral(
  host: string,
  family: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, host, family === 6 ? 6 : 4)
}
