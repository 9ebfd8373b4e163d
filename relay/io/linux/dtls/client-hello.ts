import { readUint16, writeUint16 } from '../../../stun/wire.ts'

/** First and last byte that a DTLS datagram can begin with (RFC 7983 §7). */
const DTLS_FIRST_MIN = 20
const DTLS_FIRST_MAX = 63

const RECORD_HEADER_BYTES = 13
const MESSAGE_HEADER_BYTES = 12
const CONTENT_HANDSHAKE = 22
const CLIENT_HELLO = 1
const HELLO_VERIFY_REQUEST = 3
const VERSION_BYTES = 2
export const RANDOM_BYTES = 32
const SESSION_ID_BYTES_MAX = 32
/** RFC 6347 §4.2.1 asks for DTLS 1.0 in a HelloVerifyRequest, whatever is negotiated later. */
const HELLO_VERIFY_VERSION = 0xfeff
const DTLS_MAJOR = 0xfe

/** Where things lie in a datagram that begins with a whole ClientHello; one instance is reused. */
export interface ClientHello {
  /** Of the client's random bytes. */
  random: number
  cookie: number
  cookieLength: number
}

const found: ClientHello = { random: 0, cookie: 0, cookieLength: 0 }

/** Is this a datagram of DTLS, beside STUN and ChannelData on one port (RFC 7983 §7)? */
export function isDtls(buffer: Uint8Array, offset: number, length: number): boolean {
  if (length === 0) return false
  const first = buffer[offset]!
  return first >= DTLS_FIRST_MIN && first <= DTLS_FIRST_MAX
}

/**
 * Reads the first record of a datagram where it is an unencrypted ClientHello in one piece (RFC 6347 §4.1,
 * §4.2.2). A client whose first message is in fragments is not served: that would need memory for strangers.
 */
export function readClientHello(buffer: Uint8Array, offset: number, length: number): ClientHello | undefined {
  const end = offset + length
  const message = offset + RECORD_HEADER_BYTES
  const body = message + MESSAGE_HEADER_BYTES
  if (body > end || buffer[offset] !== CONTENT_HANDSHAKE || buffer[offset + 1] !== DTLS_MAJOR)
    return undefined
  const epoch = readUint16(buffer, offset + 3)
  const bodyEnd = message + readUint16(buffer, offset + 11)
  if (epoch !== 0 || bodyEnd > end || buffer[message] !== CLIENT_HELLO) return undefined
  const total = readUint24(buffer, message + 1)
  const whole = readUint24(buffer, message + 6) === 0 && readUint24(buffer, message + 9) === total
  if (!whole || body + total !== bodyEnd) return undefined
  const random = body + VERSION_BYTES
  const session = random + RANDOM_BYTES
  if (session >= bodyEnd || buffer[session]! > SESSION_ID_BYTES_MAX) return undefined
  const cookieLengthAt = session + 1 + buffer[session]!
  if (cookieLengthAt >= bodyEnd) return undefined
  const cookieLength = buffer[cookieLengthAt]!
  if (cookieLengthAt + 1 + cookieLength > bodyEnd) return undefined
  found.random = random
  found.cookie = cookieLengthAt + 1
  found.cookieLength = cookieLength
  return found
}

/** Writes the HelloVerifyRequest that answers the ClientHello at `hello` (RFC 6347 §4.2.1); returns its length. */
export function writeHelloVerify(buffer: Uint8Array, at: number, hello: number, cookie: Uint8Array): number {
  const bodyLength = VERSION_BYTES + 1 + cookie.length
  const message = at + RECORD_HEADER_BYTES
  const body = message + MESSAGE_HEADER_BYTES
  buffer[at] = CONTENT_HANDSHAKE
  writeUint16(buffer, at + 1, HELLO_VERIFY_VERSION)
  // Epoch and sequence number are those of the ClientHello, as there is no state to count in.
  for (let i = 3; i < 11; i++) buffer[at + i] = buffer[hello + i]!
  writeUint16(buffer, at + 11, MESSAGE_HEADER_BYTES + bodyLength)
  buffer[message] = HELLO_VERIFY_REQUEST
  writeUint24(buffer, message + 1, bodyLength)
  writeUint16(buffer, message + 4, 0)
  writeUint24(buffer, message + 6, 0)
  writeUint24(buffer, message + 9, bodyLength)
  writeUint16(buffer, body, HELLO_VERIFY_VERSION)
  buffer[body + VERSION_BYTES] = cookie.length
  buffer.set(cookie, body + VERSION_BYTES + 1)
  return RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES + bodyLength
}

function readUint24(buffer: Uint8Array, at: number): number {
  return (buffer[at]! << 16) | readUint16(buffer, at + 1)
}

function writeUint24(buffer: Uint8Array, at: number, value: number): void {
  buffer[at] = value >>> 16
  writeUint16(buffer, at + 1, value & 0xffff)
}
