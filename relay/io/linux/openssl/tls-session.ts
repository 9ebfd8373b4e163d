import type { Memory } from '../memory.ts'
import type { BioPair } from './bio-pair.ts'
import { SSL_ERROR_WANT_READ, SSL_READING } from './constants.ts'
import {
  clearErrors,
  sslError,
  sslFree,
  sslHandshake,
  sslRead,
  sslServerName,
  sslSetAcceptState,
  sslShutdown,
  sslWant,
  sslWrite,
} from './ffi.ts'
import type { TlsContext } from './tls-context.ts'

/** TLSEXT_NAMETYPE_host_name */
const HOST_NAME = 0

let open = 0

/** Sessions that hold memory of OpenSSL's: for tests. */
export function openSessions(): number {
  return open
}

/**
 * One TLS or DTLS connection as OpenSSL sees it: owns an `SSL`, and gives it up once, by `free`. What it reads
 * and writes of the network goes through the `BioPair` of its loop. After `free` every call does nothing.
 */
export class TlsSession {
  readonly #memory: Memory
  #ssl: number

  constructor(context: Pick<TlsContext, 'newSession'>, bios: BioPair, memory: Memory) {
    this.#memory = memory
    this.#ssl = context.newSession()
    open++
    bios.serve(this.#ssl)
    sslSetAcceptState(this.#ssl)
  }

  /** Goes on with the handshake. */
  handshake(): 'done' | 'waiting' | 'failed' {
    if (this.#ssl === 0) return 'failed'
    clearErrors()
    const result = sslHandshake(this.#ssl)
    if (result === 1) return 'done'
    if (sslError(this.#ssl, result) === SSL_ERROR_WANT_READ) return 'waiting'
    clearErrors()
    return 'failed'
  }

  /** The name that the client asked for, once the handshake is done. */
  get serverName(): string | undefined {
    return (this.#ssl !== 0 && sslServerName(this.#ssl, HOST_NAME)) || undefined
  }

  /** Decrypts one record into memory: its length, 0 where more has to come, -1 where the connection is over. */
  read(offset: number, room: number): number {
    if (this.#ssl === 0) return -1
    const length = sslRead(this.#ssl, this.#memory.span(offset, room), room)
    if (length > 0) return length
    if (sslWant(this.#ssl) === SSL_READING) return 0
    clearErrors()
    return -1
  }

  /** Encrypts; false where OpenSSL does not. */
  write(offset: number, length: number): boolean {
    if (this.#ssl === 0) return false
    if (sslWrite(this.#ssl, this.#memory.span(offset, length), length) === length) return true
    clearErrors()
    return false
  }

  /** Says goodbye (close_notify). */
  shutdown(): void {
    if (this.#ssl === 0) return
    sslShutdown(this.#ssl)
    clearErrors()
  }

  free(): void {
    if (this.#ssl === 0) return
    sslFree(this.#ssl)
    this.#ssl = 0
    open--
  }

  /** The `SSL`, for what only datagrams need; 0 once freed. */
  protected get ssl(): number {
    return this.#ssl
  }
}
