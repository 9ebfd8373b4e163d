import { createHash, createHmac, randomBytes } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { crc32 } from 'node:zlib'
import { TransportAddress } from '../../relay/stun/address.ts'
import { formatIp, parseAddress } from '../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { classOf, type MessageClass, messageType, methodOf } from '../../relay/stun/methods.ts'

/**
 * STUN messages (RFC 8489 §5, §14) written down as they are sent, well formed or not, and read with nothing
 * assumed. It shares only names and the text of addresses with the relay, so that a fault there is not hidden.
 */

const COOKIE = 0x2112a442
const HEADER_BYTES = 20
const FINGERPRINT_XOR = 0x5354554e

export interface Endpoint {
  readonly ip: string
  readonly port: number
}

export type Attribute = readonly [type: number, value: Uint8Array]

export interface MessageFields {
  readonly method: number
  readonly class: MessageClass
  readonly id?: Uint8Array
  readonly attributes?: readonly Attribute[]
  /** Keys of MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256. */
  readonly key?: Uint8Array | undefined
  readonly sha256Key?: Uint8Array | undefined
  /** Bytes of MESSAGE-INTEGRITY-SHA256, which may be cut to 16. */
  readonly sha256Bytes?: number
  /** What follows the integrity. */
  readonly after?: readonly Attribute[]
  readonly fingerprint?: boolean
}

/** The bytes of a message. */
export function encode(fields: MessageFields): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(messageType(fields.method, fields.class), 0)
  header.writeUInt32BE(COOKIE, 4)
  header.set(fields.id ?? randomBytes(12), 8)
  let message = append(header, fields.attributes ?? [])
  if (fields.key) {
    const hmac = createHmac('sha1', fields.key).update(announcing(message, 24)).digest()
    message = append(message, [[ATTRIBUTE.MessageIntegrity, hmac]])
  }
  if (fields.sha256Key) {
    const bytes = fields.sha256Bytes ?? 32
    const hmac = createHmac('sha256', fields.sha256Key)
      .update(announcing(message, 4 + bytes))
      .digest()
    message = append(message, [[ATTRIBUTE.MessageIntegritySha256, hmac.subarray(0, bytes)]])
  }
  message = append(message, fields.after ?? [])
  if (fields.fingerprint) {
    const sum = (crc32(announcing(message, 8)) ^ FINGERPRINT_XOR) >>> 0
    message = append(message, [[ATTRIBUTE.Fingerprint, uint32(sum)]])
  }
  return message
}

/** A message as it came. */
export interface Message {
  readonly method: number
  readonly class: MessageClass
  readonly id: string
  readonly attributes: readonly Attribute[]
  readonly bytes: Buffer
}

/** Reads a message; undefined where the bytes are none. */
export function decode(bytes: Buffer): Message | undefined {
  if (bytes.length < HEADER_BYTES || bytes[0]! > 0x3f || bytes.readUInt32BE(4) !== COOKIE) return undefined
  if (bytes.readUInt16BE(2) + HEADER_BYTES !== bytes.length || bytes.length % 4 !== 0) return undefined
  const attributes: Attribute[] = []
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2)
    if (at + 4 + length > bytes.length) return undefined
    attributes.push([bytes.readUInt16BE(at), bytes.subarray(at + 4, at + 4 + length)])
    at += 4 + ((length + 3) & ~3)
  }
  const type = bytes.readUInt16BE(0)
  const id = bytes.subarray(8, HEADER_BYTES).toString('hex')
  return { method: methodOf(type), class: classOf(type), id, attributes, bytes }
}

/** The first value of a type. */
export function attributeOf(message: Message, type: number): Buffer | undefined {
  const found = message.attributes.find(([one]) => one === type)
  return found && Buffer.from(found[1])
}

export function has(message: Message, type: number): boolean {
  return attributeOf(message, type) !== undefined
}

/** The code of an error response, 0 of a success. */
export function codeOf(message: Message): number {
  const value = attributeOf(message, ATTRIBUTE.ErrorCode)
  return value && value.length >= 4 ? (value[2]! & 7) * 100 + value[3]! : 0
}

export function textOf(message: Message, type: number): string {
  return attributeOf(message, type)?.toString('utf8') ?? ''
}

export function numberOf(message: Message, type: number): number {
  const value = attributeOf(message, type)
  return value?.length === 4 ? value.readUInt32BE(0) : Number.NaN
}

/** Every address in XOR-… attributes of a type. */
export function addressesOf(message: Message, type: number): Endpoint[] {
  const mask = message.bytes.subarray(4, HEADER_BYTES)
  return message.attributes
    .filter(([one]) => one === type)
    .map(([, value]) => {
      const bytes = Buffer.from(value)
      const port = bytes.readUInt16BE(2) ^ (COOKIE >>> 16)
      for (let i = 4; i < bytes.length; i++) bytes[i] = bytes[i]! ^ mask[i - 4]!
      return endpoint(bytes, port)
    })
}

/** Addresses in attributes that are not xored, such as OTHER-ADDRESS. */
export function plainAddressOf(message: Message, type: number): Endpoint | undefined {
  const value = attributeOf(message, type)
  return value && endpoint(value, value.readUInt16BE(2))
}

/** Whether MESSAGE-INTEGRITY, or with `sha256` MESSAGE-INTEGRITY-SHA256, is there and right. */
export function isAuthentic({ bytes, attributes }: Message, key: Uint8Array, sha256 = false): boolean {
  const wanted = sha256 ? ATTRIBUTE.MessageIntegritySha256 : ATTRIBUTE.MessageIntegrity
  let at = HEADER_BYTES
  for (const [type, value] of attributes) {
    if (type === wanted) {
      const covered = announcing(bytes.subarray(0, at), 4 + value.length)
      const hmac = createHmac(sha256 ? 'sha256' : 'sha1', key)
        .update(covered)
        .digest()
      return hmac.subarray(0, value.length).equals(value)
    }
    at += 4 + ((value.length + 3) & ~3)
  }
  return false
}

/** Whether FINGERPRINT is the last attribute and right. */
export function hasRightFingerprint({ bytes, attributes }: Message): boolean {
  const [type, value] = attributes.at(-1) ?? []
  if (type !== ATTRIBUTE.Fingerprint || value?.length !== 4) return false
  const sum = (crc32(bytes.subarray(0, bytes.length - 8)) ^ FINGERPRINT_XOR) >>> 0
  return Buffer.from(value).readUInt32BE(0) === sum
}

/** The key of the long-term credential mechanism (RFC 8489 §9.2.2). */
export function longTermKey(username: string, realm: string, password: string, hash = 'md5'): Buffer {
  return createHash(hash).update(`${username}:${realm}:${password}`).digest()
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** A byte and three that are zero. */
export function firstByte(value: number): Buffer {
  return Buffer.from([value, 0, 0, 0])
}

/** The value of an XOR-…-ADDRESS; the id is needed for IPv6 (RFC 8489 §14.2). */
export function xorAddress({ ip, port }: Endpoint, id: Uint8Array): Buffer {
  const v6 = isIPv6(ip)
  const { w0, w1, w2, w3 } = parseAddress(ip, port)!
  const mask = Buffer.concat([uint32(COOKIE), id])
  const value = Buffer.concat([
    Buffer.from([0, v6 ? 2 : 1, 0, 0]),
    ...(v6 ? [w0, w1, w2, w3] : [w3]).map((word) => uint32(word >>> 0)),
  ])
  for (let i = 4; i < value.length; i++) value[i] = value[i]! ^ mask[i - 4]!
  value.writeUInt16BE(port ^ (COOKIE >>> 16), 2)
  return value
}

function endpoint(value: Buffer, port: number): Endpoint {
  const address = new TransportAddress()
  const word = (at: number) => value.readUInt32BE(at)
  if (value[1] === 2) address.set6(word(4), word(8), word(12), word(16), port)
  else address.set4(word(4), port)
  return { ip: formatIp(address), port }
}

function append(message: Buffer, attributes: readonly Attribute[]): Buffer {
  const parts: Uint8Array[] = [message]
  for (const [type, value] of attributes) {
    const head = Buffer.alloc(4)
    head.writeUInt16BE(type, 0)
    head.writeUInt16BE(value.length, 2)
    parts.push(head, value, Buffer.alloc(-value.length & 3))
  }
  return announcing(Buffer.concat(parts), 0)
}

/** A copy whose length field counts `more` bytes than are there. */
function announcing(message: Buffer, more: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt16BE(message.length - HEADER_BYTES + more, 2)
  return copy
}
