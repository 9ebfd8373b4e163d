import { readUint16 } from '../../../stun/wire.ts'
import type { BioPair } from '../openssl/bio-pair.ts'
import type { TlsSession } from '../openssl/tls-session.ts'
import { PLAIN_BYTES, type StreamBuffers } from './stream-buffers.ts'
import type { StreamOutput } from './stream-output.ts'

/** First byte of a TLS record that carries a handshake (RFC 8446 §5.1); no STUN method in use starts so. */
export const HANDSHAKE_BYTE = 0x16
/** Type, version, length. */
const RECORD_HEADER_BYTES = 5

/** What comes in over one TLS connection. */
export class TlsInput {
  readonly session: TlsSession
  readonly #bios: BioPair
  readonly #buffers: StreamBuffers
  readonly #output: StreamOutput
  readonly #sendOwn = (): void => this.#output.sendRecords()
  /** All that came was whole records, the last of them data, and OpenSSL has read them. */
  #aligned = false
  /** One record came by itself. */
  #alone = false

  constructor(
    session: TlsSession,
    { bios, buffers }: { bios: BioPair; buffers: StreamBuffers },
    output: StreamOutput,
  ) {
    this.session = session
    this.#bios = bios
    this.#buffers = buffers
    this.#output = output
  }

  /** Hands in what came, for `handshake` and `read`; false where OpenSSL does not take it. */
  feed(at: number, length: number): boolean {
    this.#alone = this.#aligned && isOneRecord(this.#buffers.memory.bytes, at, length)
    return this.#bios.feed(at, length)
  }

  handshake(): 'done' | 'waiting' | 'failed' {
    const state = this.session.handshake()
    this.#output.sendRecords()
    return state
  }

  /**
   * Hands over what the records hold for as long as `take` returns true; false at the end of the stream. A record of
   * data by itself, the usual case, leaves nothing unread and TLS with nothing to say: OpenSSL is not asked for either.
   */
  read(take: (at: number, length: number) => boolean): boolean {
    const { plain } = this.#buffers
    if (!this.#alone) this.#bios.sendOwn = this.#sendOwn
    let length: number
    do {
      length = this.session.read(plain, PLAIN_BYTES)
      this.#aligned = length > 0
    } while (length > 0 && take(plain, length) && !this.#alone && this.#bios.unread)
    this.#bios.sendOwn = undefined
    if (!this.#alone || !this.#aligned) this.#output.sendRecords()
    return length >= 0
  }
}

function isOneRecord(bytes: Uint8Array, at: number, length: number): boolean {
  return length > RECORD_HEADER_BYTES && RECORD_HEADER_BYTES + readUint16(bytes, at + 3) === length
}
