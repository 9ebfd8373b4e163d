/** Numbers of OpenSSL's headers, by their names there. */
export const SSL_OP_NO_QUERY_MTU = 2 ** 12
export const SSL_OP_COOKIE_EXCHANGE = 2 ** 13
export const SSL_OP_NO_COMPRESSION = 2 ** 17
export const SSL_OP_NO_RENEGOTIATION = 2 ** 30

export const SSL_MODE_RELEASE_BUFFERS = 16

export const SSL_CTRL_EXTRA_CHAIN_CERT = 14
export const SSL_CTRL_SET_MTU = 17
export const SSL_CTRL_MODE = 33
export const SSL_CTRL_SET_SESS_CACHE_MODE = 44
export const SSL_CTRL_SET_TLSEXT_TICKET_KEYS = 59
export const SSL_CTRL_SET_MIN_PROTO_VERSION = 123
export const DTLS_CTRL_GET_TIMEOUT = 73
export const DTLS_CTRL_HANDLE_TIMEOUT = 74
export const SSL_SESS_CACHE_OFF = 0

export const TLS1_2_VERSION = 0x0303
export const DTLS1_2_VERSION = 0xfefd

export const SSL_ERROR_WANT_READ = 2
export const SSL_READING = 3
