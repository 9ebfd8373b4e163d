import { CHANNEL_HEADER_BYTES } from '../../../stun/channel-data.ts'
import { HEADER_BYTES, padded, readUint16 } from '../../../stun/wire.ts'
import { FrameQueue } from '../../frame-queue.ts'
import type { BioPair } from '../openssl/bio-pair.ts'
import type { TlsSession } from '../openssl/tls-session.ts'
import { GATHER_BYTES, type StreamBuffers } from './stream-buffers.ts'
import type { TcpSocket } from './tcp-socket.ts'

const NONE = -1
/** Somebody who makes TLS answer and reads no answer gets no more memory than this. */
const REST_BYTES_MAX = 4 * GATHER_BYTES
const FIRST_CHANNEL_BYTE = 0x40

/** How a connection is encrypted: absent, it is not. */
export interface Encryption {
  readonly session: TlsSession
  readonly bios: BioPair
}

/**
 * The way out of one connection. Frames are gathered in a buffer of the loop until `flush` and leave as one write;
 * what the system does not take waits, the rest of a frame in full and whole frames in a bounded queue.
 */
export class StreamOutput {
  readonly #socket: TcpSocket
  readonly #buffers: StreamBuffers
  readonly #queue: FrameQueue
  readonly #dropped: () => void
  #encryption: Encryption | undefined
  #gather = NONE
  #gathered = 0
  /** Goes before everything else: the rest of a frame, or what is encrypted already. */
  #rest: Uint8Array | undefined
  #broken = false

  constructor(socket: TcpSocket, buffers: StreamBuffers, maxBytes: number, dropped: () => void) {
    this.#socket = socket
    this.#buffers = buffers
    this.#dropped = dropped
    this.#queue = new FrameQueue(maxBytes, dropped)
  }

  set encryption(encryption: Encryption) {
    this.#encryption = encryption
  }

  /** Whether the system is to say when it takes more. */
  get waiting(): boolean {
    return !this.#broken && (this.#rest !== undefined || !this.#queue.empty)
  }

  get idle(): boolean {
    return this.#gathered === 0 && !this.waiting
  }

  /** Writing failed: there is nobody to write to. */
  get broken(): boolean {
    return this.#broken
  }

  /**
   * Copies a frame in. False where all buffers are in use: flush others, then it has its place.
   */
  push(buffer: Uint8Array, offset: number, length: number): boolean {
    if (this.#broken) return true
    if (length > GATHER_BYTES) {
      this.#dropped()
      return true
    }
    if (this.waiting) {
      this.#queue.push(buffer, offset, length)
      return true
    }
    if (this.#gathered + length > GATHER_BYTES) this.flush()
    if (this.waiting) return this.push(buffer, offset, length)
    if (this.#gather === NONE) this.#gather = this.#buffers.takeGather()
    if (this.#gather === NONE) return false
    this.#append(buffer, offset, length)
    return true
  }

  /** Writes what was gathered and, where the system takes more again, what waits. */
  flush(): void {
    if (this.#gathered > 0) this.#writeGathered()
    this.#release()
    while (!this.#broken && this.#sendRest() && !this.#queue.empty && this.#writeQueued());
  }

  /** Sends what TLS has to say by itself: handshake, tickets, alerts. */
  sendRecords(): void {
    const { cipher, cipherBytes } = this.#buffers
    const encryption = this.#encryption
    if (!encryption) return
    for (;;) {
      const length = encryption.bios.take(cipher, cipherBytes)
      if (length > 0) this.#write(cipher, length)
      if (length < cipherBytes) return
    }
  }

  /** Whether bytes that are no frames may follow: what waits of frames goes first. */
  framesGone(): boolean {
    this.flush()
    return this.#queue.empty
  }

  /** Bytes that are no frames, once those have gone: none of them is ever dropped. Returns false while some wait. */
  pushRaw(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length && !this.#broken; at += GATHER_BYTES) {
      const part = bytes.subarray(at, at + GATHER_BYTES)
      const { memory, raw } = this.#buffers
      memory.bytes.set(part, raw)
      this.#encrypt(raw, part.length)
    }
    return !this.waiting
  }

  close(): void {
    this.#broken = true
    this.#rest = undefined
    this.#gathered = 0
    this.#release()
  }

  #append(buffer: Uint8Array, offset: number, length: number): void {
    const { bytes } = this.#buffers.memory
    const at = this.#gather + this.#gathered
    if (buffer === bytes) bytes.copyWithin(at, offset, offset + length)
    else bytes.set(buffer.subarray(offset, offset + length), at)
    this.#gathered += length
  }

  #writeGathered(): void {
    const length = this.#gathered
    this.#gathered = 0
    if (this.#encryption) this.#encrypt(this.#gather, length)
    else this.#writeFrames(this.#gather, length)
  }

  /** False where the system takes no more. */
  #writeQueued(): boolean {
    const { memory, raw } = this.#buffers
    let length = 0
    for (let frame = this.#queue.peek(); frame; frame = this.#queue.peek()) {
      if (length + frame.length > GATHER_BYTES) break
      memory.bytes.set(frame, raw + length)
      length += frame.length
      this.#queue.shift()
    }
    if (!this.#encryption) return this.#writeFrames(raw, length)
    this.#encrypt(raw, length)
    return !this.#rest
  }

  #encrypt(at: number, length: number): void {
    const encryption = this.#encryption
    encryption?.bios.sendOwn?.()
    if (!encryption) this.#write(at, length)
    else if (encryption.session.write(at, length)) this.sendRecords()
    else this.#broken = true
  }

  /** Frames that the system takes nothing of go to the queue, where later media may replace them: false then. */
  #writeFrames(at: number, length: number): boolean {
    const sent = this.#rest ? 0 : this.#socket.send(at, length)
    if (sent < 0) this.#broken = true
    if (sent < 0 || sent === length) return sent === length
    if (!this.#queue.empty) {
      // They have waited there before, and others behind them still do.
      this.#keep(at + sent, length - sent)
      return false
    }
    const { bytes } = this.#buffers.memory
    const end = at + length
    let frame = at
    while (frame < end) {
      const next = Math.min(end, frame + frameLength(bytes, frame))
      if (next > at + sent) {
        if (frame < at + sent) this.#keep(at + sent, next - at - sent)
        else this.#queue.push(bytes, frame, next - frame)
      }
      frame = next
    }
    return false
  }

  #write(at: number, length: number): void {
    const sent = this.#rest ? 0 : this.#socket.send(at, length)
    if (sent < 0) this.#broken = true
    else if (sent < length) this.#keep(at + sent, length - sent)
  }

  #keep(at: number, length: number): void {
    const before = this.#rest
    if (before && before.length + length > REST_BYTES_MAX) {
      this.#broken = true
      return
    }
    const kept = new Uint8Array((before?.length ?? 0) + length)
    if (before) kept.set(before)
    kept.set(this.#buffers.memory.bytes.subarray(at, at + length), before?.length ?? 0)
    this.#rest = kept
  }

  /** False while something is left. */
  #sendRest(): boolean {
    const { memory, cipher, cipherBytes } = this.#buffers
    while (this.#rest && !this.#broken) {
      const part = this.#rest.subarray(0, cipherBytes)
      memory.bytes.set(part, cipher)
      const sent = this.#socket.send(cipher, part.length)
      if (sent < 0) this.#broken = true
      if (sent <= 0) return false
      this.#rest = sent < this.#rest.length ? this.#rest.subarray(sent) : undefined
    }
    return true
  }

  #release(): void {
    if (this.#gather === NONE) return
    this.#buffers.returnGather(this.#gather)
    this.#gather = NONE
  }
}

/** The length of the frame that begins at `at`, padding included, at least four bytes. */
function frameLength(bytes: Uint8Array, at: number): number {
  const length = readUint16(bytes, at + 2)
  return bytes[at]! < FIRST_CHANNEL_BYTE ? HEADER_BYTES + length : CHANNEL_HEADER_BYTES + padded(length)
}
