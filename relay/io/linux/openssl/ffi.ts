import koffi, { type LibraryHandle } from 'koffi'

/**
 * The functions of the OpenSSL that Node carries. What OpenSSL allocates is a number here and never leaves the
 * class that owns it; memory that it reads or writes is given as an address in a `Memory`.
 */
const library: LibraryHandle = koffi.load(null)

/** A pointer to something of OpenSSL's, or an address in a `Memory`; 0: none. */
type Pointer = number

export const tlsServerMethod: () => Pointer = library.func('uintptr_t TLS_server_method()')
export const dtlsServerMethod: () => Pointer = library.func('uintptr_t DTLS_server_method()')

export const contextNew: (method: Pointer) => Pointer = library.func('uintptr_t SSL_CTX_new(uintptr_t)')
/** Gives up one reference; sessions hold references of their own. */
export const contextFree: (context: Pointer) => void = library.func('void SSL_CTX_free(uintptr_t)')
export const contextSetOptions: (context: Pointer, options: number) => number = library.func(
  'uint64_t SSL_CTX_set_options(uintptr_t, uint64_t)',
)
export const contextControl: (
  context: Pointer,
  command: number,
  value: number,
  data: Uint8Array | null,
) => number = library.func('long SSL_CTX_ctrl(uintptr_t, int, long, void*)')
export const contextControlPointer: (
  context: Pointer,
  command: number,
  value: number,
  data: Pointer,
) => number = library.func('SSL_CTX_ctrl', 'long', ['uintptr_t', 'int', 'long', 'uintptr_t'])
export const contextSetTickets: (context: Pointer, count: number) => number = library.func(
  'int SSL_CTX_set_num_tickets(uintptr_t, size_t)',
)
/** Of TLS 1.2 and DTLS 1.2; TLS 1.3 has its own, all of them good. */
export const contextSetCiphers: (context: Pointer, list: string) => number = library.func(
  'int SSL_CTX_set_cipher_list(uintptr_t, str)',
)
export const contextUseCertificate: (context: Pointer, certificate: Pointer) => number = library.func(
  'int SSL_CTX_use_certificate(uintptr_t, uintptr_t)',
)
export const contextUseKey: (context: Pointer, key: Pointer) => number = library.func(
  'int SSL_CTX_use_PrivateKey(uintptr_t, uintptr_t)',
)
export const contextCheckKey: (context: Pointer) => number = library.func(
  'int SSL_CTX_check_private_key(uintptr_t)',
)

/** Allocated with the reference of the caller; the context is kept alive by it. */
export const sslNew: (context: Pointer) => Pointer = library.func('uintptr_t SSL_new(uintptr_t)')
export const sslFree: (ssl: Pointer) => void = library.func('void SSL_free(uintptr_t)')
/** Takes over one reference to each of the two. */
export const sslSetBio: (ssl: Pointer, read: Pointer, write: Pointer) => void = library.func(
  'void SSL_set_bio(uintptr_t, uintptr_t, uintptr_t)',
)
export const sslSetAcceptState: (ssl: Pointer) => void = library.func('void SSL_set_accept_state(uintptr_t)')
export const sslControl: (ssl: Pointer, command: number, value: number, data: Pointer) => number =
  library.func('long SSL_ctrl(uintptr_t, int, long, uintptr_t)')
export const sslHandshake: (ssl: Pointer) => number = library.func('int SSL_do_handshake(uintptr_t)')
export const sslRead: (ssl: Pointer, into: Pointer, length: number) => number = library.func(
  'int SSL_read(uintptr_t, uintptr_t, int)',
)
export const sslWrite: (ssl: Pointer, from: Pointer, length: number) => number = library.func(
  'int SSL_write(uintptr_t, uintptr_t, int)',
)
export const sslShutdown: (ssl: Pointer) => number = library.func('int SSL_shutdown(uintptr_t)')
/** Minds every error that this thread has not cleared. */
/** The `server_name` of the ClientHello; `type` is 0, a host name. */
export const sslServerName: (ssl: Pointer, type: number) => string | null = library.func(
  'str SSL_get_servername(uintptr_t, int)',
)
export const sslError: (ssl: Pointer, result: number) => number = library.func(
  'int SSL_get_error(uintptr_t, int)',
)
/** What the last read of a session stopped for; unlike SSL_get_error it minds no error of others. */
export const sslWant: (ssl: Pointer) => number = library.func('int SSL_want(uintptr_t)')
/** Goes on with a handshake at its second ClientHello; the address of the sender is written to `peer`. */
export const dtlsListen: (ssl: Pointer, peer: Pointer) => number = library.func(
  'int DTLSv1_listen(uintptr_t, uintptr_t)',
)

export const bioMemory: () => Pointer = library.func('uintptr_t BIO_s_mem()')
export const bioDatagrams: () => Pointer = library.func('uintptr_t BIO_s_dgram_mem()')
export const bioNew: (method: Pointer) => Pointer = library.func('uintptr_t BIO_new(uintptr_t)')
export const bioFree: (bio: Pointer) => number = library.func('int BIO_free(uintptr_t)')
export const bioUpRef: (bio: Pointer) => number = library.func('int BIO_up_ref(uintptr_t)')
export const bioWrite: (bio: Pointer, from: Pointer, length: number) => number = library.func(
  'int BIO_write(uintptr_t, uintptr_t, int)',
)
export const bioRead: (bio: Pointer, into: Pointer, length: number) => number = library.func(
  'int BIO_read(uintptr_t, uintptr_t, int)',
)
/** Bytes, of datagrams those of the first, that can be read. */
export const bioPending: (bio: Pointer) => number = library.func('size_t BIO_ctrl_pending(uintptr_t)')
/** Copies `bytes`, so that they may go away afterwards. */
export const bioWriteBytes: (bio: Pointer, bytes: Uint8Array, length: number) => number = library.func(
  'BIO_write',
  'int',
  ['uintptr_t', 'void*', 'int'],
)
export const bioAddressNew: () => Pointer = library.func('uintptr_t BIO_ADDR_new()')
export const bioAddressFree: (address: Pointer) => void = library.func('void BIO_ADDR_free(uintptr_t)')

export const pemCertificate: (bio: Pointer, into: Pointer, password: Pointer, data: Pointer) => Pointer =
  library.func('uintptr_t PEM_read_bio_X509(uintptr_t, uintptr_t, uintptr_t, uintptr_t)')
export const pemKey: (bio: Pointer, into: Pointer, password: Pointer, data: Pointer) => Pointer =
  library.func('uintptr_t PEM_read_bio_PrivateKey(uintptr_t, uintptr_t, uintptr_t, uintptr_t)')
export const certificateFree: (certificate: Pointer) => void = library.func('void X509_free(uintptr_t)')
export const keyFree: (key: Pointer) => void = library.func('void EVP_PKEY_free(uintptr_t)')

export const clearErrors: () => void = library.func('void ERR_clear_error()')
const lastError: () => number = library.func('unsigned long ERR_peek_last_error()')
const errorText: (code: number, into: Uint8Array, length: number) => void = library.func(
  'void ERR_error_string_n(unsigned long, void*, size_t)',
)
const selectProtocol: (
  out: Pointer,
  outLength: Pointer,
  ours: Uint8Array,
  oursLength: number,
  theirs: Pointer,
  theirsLength: number,
) => number = library.func(
  'int SSL_select_next_proto(uintptr_t, uintptr_t, void*, uint32_t, uintptr_t, uint32_t)',
)

const ERROR_TEXT_BYTES = 256

/** What OpenSSL says of its last failure; forgets it. */
export function takeError(): string {
  const text = Buffer.alloc(ERROR_TEXT_BYTES)
  errorText(lastError(), text, text.length)
  clearErrors()
  return text.toString('latin1', 0, text.indexOf(0))
}

/** RFC 7443, each behind its length. The array lives as long as the process: what is chosen points into it. */
const ALPN_PROTOCOLS = Buffer.from('\x09stun.turn\x12stun.nat-discovery', 'latin1')

/** Ours where it is offered; a client that offers only others is not worth refusing for it: it gets its first. */
const alpnType = koffi.proto(
  'int turnfleet_alpn(uintptr_t ssl, uintptr_t out, uintptr_t outLength, uintptr_t in, uint32_t inLength, uintptr_t data)',
)
const alpnCallback = koffi.register(
  (_ssl: Pointer, out: Pointer, outLength: Pointer, offered: Pointer, offeredLength: number): number => {
    selectProtocol(out, outLength, ALPN_PROTOCOLS, ALPN_PROTOCOLS.length, offered, offeredLength)
    return 0
  },
  koffi.pointer(alpnType),
)
const contextSetAlpn = library.func(
  'void SSL_CTX_set_alpn_select_cb(uintptr_t context, turnfleet_alpn *callback, uintptr_t data)',
)

/** The cookie was verified before OpenSSL sees it. */
const cookieType = koffi.proto('int turnfleet_cookie(uintptr_t ssl, uintptr_t cookie, uint32_t length)')
const cookieCallback = koffi.register((): number => 1, koffi.pointer(cookieType))
const contextSetCookieVerify = library.func(
  'void SSL_CTX_set_cookie_verify_cb(uintptr_t context, turnfleet_cookie *callback)',
)

export function chooseProtocols(context: Pointer): void {
  contextSetAlpn(context, alpnCallback, 0)
}

export function trustCookies(context: Pointer): void {
  contextSetCookieVerify(context, cookieCallback)
}
