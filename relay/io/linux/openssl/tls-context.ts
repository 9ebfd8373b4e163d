import type { TlsMaterial } from '../../io.ts'
import { ticketKey } from '../../ticket-key.ts'
import {
  DTLS1_2_VERSION,
  SSL_CTRL_EXTRA_CHAIN_CERT,
  SSL_CTRL_MODE,
  SSL_CTRL_SET_MIN_PROTO_VERSION,
  SSL_CTRL_SET_SESS_CACHE_MODE,
  SSL_CTRL_SET_TLSEXT_TICKET_KEYS,
  SSL_MODE_RELEASE_BUFFERS,
  SSL_OP_COOKIE_EXCHANGE,
  SSL_OP_NO_COMPRESSION,
  SSL_OP_NO_QUERY_MTU,
  SSL_OP_NO_RENEGOTIATION,
  SSL_SESS_CACHE_OFF,
  TLS1_2_VERSION,
} from './constants.ts'
import {
  bioFree,
  bioMemory,
  bioNew,
  bioWriteBytes,
  certificateFree,
  chooseProtocols,
  clearErrors,
  contextCheckKey,
  contextControl,
  contextControlPointer,
  contextFree,
  contextNew,
  contextSetCiphers,
  contextSetOptions,
  contextSetTickets,
  contextUseCertificate,
  contextUseKey,
  dtlsServerMethod,
  keyFree,
  pemCertificate,
  pemKey,
  sslNew,
  takeError,
  tlsServerMethod,
  trustCookies,
} from './ffi.ts'

/** Certificates behind the leaf; more are nobody's chain. */
const CHAIN_MAX = 16
/** Before TLS 1.3: only what keeps a recorded call secret when the key is lost later. */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES'
/** Name, HMAC key and AES key of session tickets, as OpenSSL takes them. */
const TICKET_KEY_BYTES = 80

/**
 * What handshakes are made with: certificate, key, versions. Owns one `SSL_CTX`; each session holds a reference
 * of its own to it, so that a context may be closed while its sessions go on.
 */
export class TlsContext {
  readonly protocol: 'tls' | 'dtls'
  #context: number

  /** Throws what is wrong with a pair that does not load. */
  constructor(protocol: 'tls' | 'dtls', material: TlsMaterial) {
    this.protocol = protocol
    clearErrors()
    this.#context = allocated(contextNew(protocol === 'tls' ? tlsServerMethod() : dtlsServerMethod()))
    try {
      this.#configure(material.ticketSecret)
      this.#load(material)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** A new `SSL` that the caller owns. */
  newSession(): number {
    if (this.#context === 0) throw new Error('the TLS context is closed')
    return allocated(sslNew(this.#context))
  }

  close(): void {
    if (this.#context !== 0) contextFree(this.#context)
    this.#context = 0
  }

  #configure(ticketSecret: string | undefined): void {
    const context = this.#context
    const dtls = this.protocol === 'dtls'
    // A second handshake would cost the relay more than the client, and compression tells what is encrypted.
    contextSetOptions(context, SSL_OP_NO_RENEGOTIATION + SSL_OP_NO_COMPRESSION)
    if (dtls) {
      contextSetOptions(context, SSL_OP_COOKIE_EXCHANGE + SSL_OP_NO_QUERY_MTU)
      trustCookies(context)
    }
    contextControl(context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, null)
    checked(
      contextControl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, dtls ? DTLS1_2_VERSION : TLS1_2_VERSION, null),
    )
    checked(contextSetCiphers(context, CIPHERS))
    // Sessions live in their tickets, never here.
    contextControl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, null)
    checked(contextSetTickets(context, 1))
    if (ticketSecret !== undefined) {
      const key = ticketKey(ticketSecret, TICKET_KEY_BYTES)
      checked(contextControl(context, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, key.length, key))
    }
    chooseProtocols(context)
  }

  #load({ cert, key }: TlsMaterial): void {
    withText(cert, (bio) => {
      const leaf = pemCertificate(bio, 0, 0, 0)
      if (leaf === 0) throw new Error(`the certificate cannot be read: ${takeError()}`)
      const used = contextUseCertificate(this.#context, leaf)
      certificateFree(leaf)
      checked(used)
      for (let i = 0; i < CHAIN_MAX; i++) {
        const next = pemCertificate(bio, 0, 0, 0)
        if (next === 0) break
        // The context takes the certificate over.
        if (contextControlPointer(this.#context, SSL_CTRL_EXTRA_CHAIN_CERT, 0, next) === 1) continue
        certificateFree(next)
        throw new Error(`the chain cannot be used: ${takeError()}`)
      }
      // Reading behind the last certificate fails.
      clearErrors()
    })
    withText(key, (bio) => {
      const pair = pemKey(bio, 0, 0, 0)
      if (pair === 0) throw new Error(`the private key cannot be read: ${takeError()}`)
      const used = contextUseKey(this.#context, pair)
      keyFree(pair)
      if (used !== 1) throw new Error(`the private key does not belong to the certificate: ${takeError()}`)
    })
    checked(contextCheckKey(this.#context))
  }
}

/** Calls with a BIO that holds a text, and frees it. */
function withText(text: string, use: (bio: number) => void): void {
  const bio = allocated(bioNew(bioMemory()))
  try {
    const bytes = Buffer.from(text)
    if (bioWriteBytes(bio, bytes, bytes.length) !== bytes.length) throw new Error(takeError())
    use(bio)
  } finally {
    bioFree(bio)
  }
}

function allocated(pointer: number): number {
  if (pointer === 0) throw new Error(`OpenSSL has no memory: ${takeError()}`)
  return pointer
}

function checked(result: number): void {
  if (result !== 1) throw new Error(`OpenSSL refuses: ${takeError()}`)
}
