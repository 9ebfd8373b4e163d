import type { TransportAddress } from '../../../stun/address.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../../turn/contract.ts'
import type { Memory } from '../memory.ts'
import { BioPair } from '../openssl/bio-pair.ts'
import { DtlsSession } from '../openssl/dtls-session.ts'
import type { TlsContext } from '../openssl/tls-context.ts'
import type { SendQueue } from '../send-queue.ts'
import { writeHelloVerify } from './client-hello.ts'
import type { DtlsConnection, DtlsListener } from './dtls-connection.ts'

/** Of one record (RFC 5246 §6.2.1). */
const PLAIN_BYTES_MAX = 16_384
/** With its header and all that encryption adds. */
const RECORD_BYTES_MAX = PLAIN_BYTES_MAX + 512

/** What DTLS takes of a `Memory`. */
export const DTLS_MEMORY_BYTES = 2 * RECORD_BYTES_MAX + PLAIN_BYTES_MAX + 4096

interface DtlsRecordsOptions {
  readonly memory: Memory
  readonly queue: SendQueue
}

/** The records of all sessions: what they are read from, and what sessions write, on its way to the send queue. */
export class DtlsRecords {
  /** Where `read` puts what a record holds. */
  readonly plain: number
  readonly #memory: Memory
  readonly #queue: SendQueue
  readonly #bios: BioPair
  readonly #record: number
  readonly #copy: number

  constructor({ memory, queue }: DtlsRecordsOptions) {
    this.#memory = memory
    this.#queue = queue
    this.#bios = new BioPair(memory, 'datagrams')
    this.plain = memory.take(HEAD_ROOM_BYTES + PLAIN_BYTES_MAX + TAIL_ROOM_BYTES) + HEAD_ROOM_BYTES
    this.#record = memory.take(RECORD_BYTES_MAX)
    this.#copy = memory.take(PLAIN_BYTES_MAX)
  }

  newSession(context: TlsContext): DtlsSession {
    return new DtlsSession(context, this.#bios, this.#memory)
  }

  /** Hands in a datagram for the session that works next; false where OpenSSL does not take it. */
  feed(offset: number, length: number): boolean {
    return this.#bios.feed(offset, length)
  }

  /** What a session has not taken is none of the next one's. */
  drain(): void {
    this.#bios.drain(this.#record, RECORD_BYTES_MAX)
  }

  /** Puts what the next record holds at `plain`: its length, 0 where there is none, negative at the end. */
  read(connection: DtlsConnection): number {
    const length = connection.session.read(this.plain, PLAIN_BYTES_MAX)
    // Before anything else is encrypted: what is to be sent waits in one place for all sessions.
    this.transmit(connection)
    return length
  }

  /** Sends one record; false where that cannot be. */
  send(
    connection: DtlsConnection,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): boolean {
    if (length > PLAIN_BYTES_MAX) return false
    const { bytes } = this.#memory
    let at = offset
    if (buffer !== bytes) {
      bytes.set(buffer.subarray(offset, offset + length), this.#copy)
      at = this.#copy
    }
    if (!connection.session.write(at, length)) return false
    this.transmit(connection, trafficClass)
    return true
  }

  /** Sends what a session has written. */
  transmit({ listener, remote }: DtlsConnection, trafficClass = 0): void {
    for (;;) {
      const length = this.#bios.take(this.#record, RECORD_BYTES_MAX)
      if (length === 0) return
      if (listener.socket.open)
        this.#queue.push(
          listener.socket,
          listener.wayTo(remote),
          this.#memory.bytes,
          this.#record,
          length,
          trafficClass,
        )
    }
  }

  /** Asks for the ClientHello at `hello` again, with a cookie. */
  sendHelloVerify(listener: DtlsListener, to: TransportAddress, hello: number, cookie: Uint8Array): void {
    const { bytes } = this.#memory
    const size = writeHelloVerify(bytes, this.#record, hello, cookie)
    this.#queue.push(listener.socket, listener.wayTo(to), bytes, this.#record, size)
  }

  close(): void {
    this.#bios.close()
  }
}
