import { randomBytes } from 'node:crypto'
import { ATTRIBUTE, TRANSPORT_PROTOCOL } from '../../relay/stun/attribute-types.ts'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { CLASS, METHOD } from '../../relay/stun/methods.ts'
import {
  type Attribute,
  addressesOf,
  attributeOf,
  codeOf,
  decode,
  type Endpoint,
  encode,
  firstByte,
  has,
  isAuthentic,
  longTermKey,
  type Message,
  type MessageFields,
  numberOf,
  textOf,
  uint32,
  xorAddress,
} from '../support/stun-message.ts'
import { Broken } from './case.ts'
import type { Wire } from './wire.ts'

/** Times at which a request is sent over UDP, and how long its answer is waited for (RFC 8489 §6.2.1, shortened). */
const SENDS_MS = [0, 500, 1000]
const ANSWER_MS = 2500
/** How long a server that must be silent is given to break that. */
const SILENCE_MS = 400
const ALGORITHM_SHA256 = Buffer.from([0, 2, 0, 0])

export interface Credentials {
  readonly username: string
  readonly password: string
  /** Expected realm; absent: whatever the server names. */
  readonly realm?: string | undefined
}

export type Fields = Partial<MessageFields> & {
  /** Other credentials than the client's own. */
  readonly credentials?: Credentials
  readonly realm?: string
  readonly nonce?: string
  /** MESSAGE-INTEGRITY-SHA256 and its attributes, where the server offers them. */
  readonly sha256?: boolean
}

/** A TURN client that says exactly what it is told to. */
export class Client {
  readonly wire: Wire
  readonly credentials: Credentials
  realm = ''
  nonce = ''
  /** PASSWORD-ALGORITHMS of the challenge. */
  offered: Buffer | undefined
  allocated = false

  constructor(wire: Wire, credentials: Credentials) {
    this.wire = wire
    this.credentials = credentials
  }

  get key(): Buffer {
    return longTermKey(this.credentials.username, this.realm, this.credentials.password)
  }

  get sha256Key(): Buffer {
    return longTermKey(this.credentials.username, this.realm, this.credentials.password, 'sha256')
  }

  /** A request without credentials; fails where no answer comes. */
  ask(method: number, attributes: readonly Attribute[] = [], fields: Fields = {}): Promise<Message> {
    const id = fields.id ?? randomBytes(12)
    return this.exchange(encode({ method, class: CLASS.Request, attributes, ...fields, id }))
  }

  /** A request with credentials, after a challenge where there was none, and again after a stale nonce. */
  async request(
    method: number,
    attributes: readonly Attribute[] = [],
    fields: Fields = {},
  ): Promise<Message> {
    if (this.nonce === '') await this.challenge()
    const answer = await this.exchange(this.sign(method, attributes, fields))
    if (codeOf(answer) !== ERROR.StaleNonce || fields.nonce !== undefined) return answer
    this.learn(answer)
    return this.exchange(this.sign(method, attributes, { ...fields, id: randomBytes(12) }))
  }

  /** The bytes of a request with credentials. */
  sign(method: number, attributes: readonly Attribute[] = [], fields: Fields = {}): Buffer {
    const { credentials = this.credentials, realm = this.realm, nonce = this.nonce, sha256, ...rest } = fields
    const who: Attribute[] = [
      [ATTRIBUTE.Username, Buffer.from(credentials.username)],
      [ATTRIBUTE.Realm, Buffer.from(realm)],
      [ATTRIBUTE.Nonce, Buffer.from(nonce)],
    ]
    const { username, password } = credentials
    if (sha256 && this.offered) {
      who.push([ATTRIBUTE.PasswordAlgorithms, this.offered], [ATTRIBUTE.PasswordAlgorithm, ALGORITHM_SHA256])
    }
    const keys = sha256
      ? { sha256Key: longTermKey(username, realm, password, 'sha256') }
      : { key: longTermKey(username, realm, password) }
    return encode({
      method,
      class: CLASS.Request,
      attributes: [...attributes, ...who],
      ...keys,
      ...rest,
    })
  }

  /** The 401 to a request without credentials; remembers its realm and nonce. */
  async challenge(
    method: number = METHOD.Allocate,
    attributes: readonly Attribute[] = [UDP],
  ): Promise<Message> {
    const answer = await this.ask(method, attributes)
    if (codeOf(answer) !== ERROR.Unauthenticated) throw new Broken(`${describe(answer)} to the first request`)
    this.learn(answer)
    return answer
  }

  learn(challenge: Message): void {
    this.realm = textOf(challenge, ATTRIBUTE.Realm) || this.realm
    this.nonce = textOf(challenge, ATTRIBUTE.Nonce)
    this.offered = attributeOf(challenge, ATTRIBUTE.PasswordAlgorithms)
  }

  /** An allocation; fails where it is refused. */
  async allocate(attributes: readonly Attribute[] = [], transport: Attribute = UDP): Promise<Endpoint> {
    const answer = await this.request(METHOD.Allocate, [transport, ...attributes])
    const [relayed] = addressesOf(answer, ATTRIBUTE.XorRelayedAddress)
    if (answer.class !== CLASS.Success || !relayed) throw new Broken(`${describe(answer)} to Allocate`)
    this.allocated = true
    return relayed
  }

  permit(...peers: readonly Endpoint[]): Promise<Message> {
    const id = randomBytes(12)
    return this.request(
      METHOD.CreatePermission,
      peers.map((peer) => peerAddress(peer, id)),
      { id },
    )
  }

  bind(channel: number, peer: Endpoint): Promise<Message> {
    const id = randomBytes(12)
    return this.request(METHOD.ChannelBind, [channelNumber(channel), peerAddress(peer, id)], { id })
  }

  refresh(lifetimeSeconds?: number, more: readonly Attribute[] = []): Promise<Message> {
    const lifetime: Attribute[] =
      lifetimeSeconds === undefined ? [] : [[ATTRIBUTE.Lifetime, uint32(lifetimeSeconds)]]
    return this.request(METHOD.Refresh, [...lifetime, ...more])
  }

  /** A Send indication. */
  send(peer: Endpoint, data: Uint8Array, more: readonly Attribute[] = []): void {
    const id = randomBytes(12)
    const attributes = [peerAddress(peer, id), ...more, [ATTRIBUTE.Data, data] as const]
    this.wire.send(encode({ method: METHOD.Send, class: CLASS.Indication, id, attributes }))
  }

  /** ChannelData, padded where the transport wants it (RFC 8656 §12.5). */
  sendChannel(
    channel: number,
    data: Uint8Array,
    padding = this.wire.transport === 'udp' ? 0 : -data.length & 3,
  ): void {
    this.wire.send(channelData(channel, data, padding))
  }

  /** The next Data indication, or undefined. */
  async data(ms = ANSWER_MS): Promise<{ peer: Endpoint | undefined; data: Buffer | undefined } | undefined> {
    const bytes = await this.wire.take((one) => decode(one)?.method === METHOD.Data, ms)
    const message = bytes && decode(bytes)
    if (!message) return undefined
    const [peer] = addressesOf(message, ATTRIBUTE.XorPeerAddress)
    return { peer, data: attributeOf(message, ATTRIBUTE.Data) }
  }

  /** The next ChannelData, or undefined. */
  async channel(ms = ANSWER_MS): Promise<{ number: number; data: Buffer } | undefined> {
    const bytes = await this.wire.take((one) => one[0]! >= 0x40 && one.length >= 4, ms)
    return bytes && { number: bytes.readUInt16BE(0), data: bytes.subarray(4, 4 + bytes.readUInt16BE(2)) }
  }

  /** Sends a request and gives its answer, the bytes again over UDP while none comes. */
  async exchange(request: Buffer): Promise<Message> {
    const answer = await this.tryExchange(request, ANSWER_MS)
    if (!answer) throw new Broken('no answer')
    return answer
  }

  /** As `exchange`; undefined where no answer comes in time. */
  async tryExchange(request: Buffer, ms: number): Promise<Message | undefined> {
    const id = request.subarray(8, 20)
    const timers = SENDS_MS.filter((at) => at === 0 || (this.wire.transport === 'udp' && at < ms)).map((at) =>
      setTimeout(() => this.wire.send(request), at),
    )
    const answer = await this.wire.take(
      (one) => one.length >= 20 && one[0]! < 0x40 && isResponse(one) && one.subarray(8, 20).equals(id),
      ms,
    )
    timers.forEach(clearTimeout)
    if (!answer) return undefined
    const message = decode(answer)
    if (!message) throw new Broken(`an answer that is no STUN message: ${answer.toString('hex')}`)
    return message
  }

  /** Fails where the server says anything to these bytes. */
  async silence(bytes: Uint8Array): Promise<string> {
    this.wire.send(bytes)
    const answer = await this.wire.take(() => true, SILENCE_MS)
    if (!answer) return 'silence'
    const message = decode(answer)
    throw new Broken(message ? describe(message) : `${answer.length} bytes`)
  }

  /** Whether a success carries the right integrity of the client's key. */
  isAuthentic(message: Message, sha256 = false): boolean {
    return isAuthentic(message, sha256 ? this.sha256Key : this.key, sha256)
  }

  /** Gives the allocation back where one may be there, and closes. */
  async close(): Promise<void> {
    if (this.allocated) {
      const refresh = this.sign(METHOD.Refresh, [[ATTRIBUTE.Lifetime, uint32(0)]])
      await this.tryExchange(refresh, SILENCE_MS).catch(() => undefined)
    }
    this.wire.close()
  }
}

export const UDP: Attribute = [ATTRIBUTE.RequestedTransport, firstByte(TRANSPORT_PROTOCOL.Udp)]

export function peerAddress(peer: Endpoint, id: Uint8Array): Attribute {
  return [ATTRIBUTE.XorPeerAddress, xorAddress(peer, id)]
}

export function channelNumber(channel: number): Attribute {
  return [ATTRIBUTE.ChannelNumber, uint32(channel * 65_536)]
}

export function channelData(channel: number, data: Uint8Array, padding: number): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(channel, 0)
  header.writeUInt16BE(data.length, 2)
  return Buffer.concat([header, data, Buffer.alloc(padding)])
}

/** A response in words: `success`, `437`, `401 with NONCE`. */
export function describe(message: Message): string {
  if (message.class === CLASS.Success) {
    const lifetime = numberOf(message, ATTRIBUTE.Lifetime)
    return Number.isNaN(lifetime) ? 'success' : `success, LIFETIME ${lifetime}`
  }
  if (message.class !== CLASS.Error) return `a message of class ${message.class}`
  return has(message, ATTRIBUTE.ErrorCode) ? String(codeOf(message)) : 'an error without ERROR-CODE'
}

function isResponse(bytes: Buffer): boolean {
  return (bytes[0]! & 0x01) === 1
}
