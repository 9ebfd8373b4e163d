import type { Memory } from '../memory.ts'
import type { BioPair } from './bio-pair.ts'
import { DTLS_CTRL_GET_TIMEOUT, DTLS_CTRL_HANDLE_TIMEOUT, SSL_CTRL_SET_MTU } from './constants.ts'
import { bioAddressFree, bioAddressNew, clearErrors, dtlsListen, sslControl } from './ffi.ts'
import type { TlsContext } from './tls-context.ts'
import { TlsSession } from './tls-session.ts'

/** What a handshake's datagrams fit into: any path that carries IPv6 with a tunnel or two. */
const HANDSHAKE_MTU = 1200
/** A `struct timeval`. */
export const TIMEVAL_BYTES = 16

/** A DTLS connection whose client has shown that it receives what is sent to its address. */
export class DtlsSession extends TlsSession {
  constructor(context: Pick<TlsContext, 'newSession'>, bios: BioPair, memory: Memory) {
    super(context, bios, memory)
    sslControl(this.ssl, SSL_CTRL_SET_MTU, HANDSHAKE_MTU, 0)
  }

  /** Takes up the handshake at the ClientHello that carries a good cookie; false where OpenSSL does not. */
  listen(): boolean {
    clearErrors()
    const peer = bioAddressNew()
    const result = dtlsListen(this.ssl, peer)
    bioAddressFree(peer)
    if (result < 1) clearErrors()
    return result === 1
  }

  /** Milliseconds until the flight under way is to be sent again, or Infinity; `timeval` names memory for it. */
  timeoutMs(memory: Memory, timeval: number): number {
    const { ssl } = this
    if (ssl === 0) return Number.POSITIVE_INFINITY
    if (sslControl(ssl, DTLS_CTRL_GET_TIMEOUT, 0, memory.span(timeval, TIMEVAL_BYTES)) !== 1)
      return Number.POSITIVE_INFINITY
    return memory.u32[timeval >> 2]! * 1000 + memory.u32[(timeval >> 2) + 2]! / 1000
  }

  /** Sends the flight again where its time has come; false where that was tried too often. */
  handleTimeout(): boolean {
    if (this.ssl === 0) return false
    if (sslControl(this.ssl, DTLS_CTRL_HANDLE_TIMEOUT, 0, 0) >= 0) return true
    clearErrors()
    return false
  }
}
