import { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE, FAMILY_CODE, TRANSPORT_PROTOCOL } from '../stun/attribute-types.ts'
import { readXorAddress } from '../stun/attributes.ts'
import {
  CHANNEL_HEADER_BYTES,
  channelNumber,
  channelPayloadLength,
  isChannelDataByte,
  writeChannelHeader,
} from '../stun/channel-data.ts'
import type { StunCrypto } from '../stun/crypto.ts'
import { ERROR } from '../stun/error-codes.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import { padded, readUint32 } from '../stun/wire.ts'
import { StunWriter } from '../stun/writer.ts'
import { Authentication } from './authentication.ts'
import type { AllocateOptions, ClientEvent, ClientRequest, FailureCause } from './contract.ts'
import { readError, readSuccess } from './responses.ts'
import { DEFAULT_TIMING, type Timing, type Transaction, Transactions } from './transactions.ts'

/** How often one request is made anew after 401 or 438 before it counts as refused. */
export const AUTHENTICATION_RETRIES_MAX = 3
/** Most events and packets that may wait to be drained; what comes on top is dropped, as on a network. */
const QUEUE_MAX = 8192
/** Room for the largest Send indication. */
const MESSAGE_BYTES_MAX = 65_535 + 128

/** Shared: writing is synchronous, and thousands of clients need not hold 64 KiB each. */
const WRITER = new StunWriter(MESSAGE_BYTES_MAX)

const METHODS = {
  binding: METHOD.Binding,
  allocate: METHOD.Allocate,
  refresh: METHOD.Refresh,
  permission: METHOD.CreatePermission,
  channel: METHOD.ChannelBind,
} as const

export interface TurnClientOptions {
  /** `udp` and `dtls` retransmit; `tcp` and `tls` do not, and pad ChannelData. */
  readonly transport: 'udp' | 'tcp' | 'tls' | 'dtls'
  readonly username: string
  readonly password: string
  readonly crypto: StunCrypto
  readonly timing?: Partial<Timing>
}

/**
 * A TURN client without I/O (RFC 8656): its owner sends what `nextTransmit` gives to the server, hands in
 * what comes from there (one datagram, or one frame of a stream), and drains `nextEvent`. It keeps one
 * allocation and refreshes nothing by itself.
 */
export class TurnClient {
  readonly #crypto: StunCrypto
  readonly #stream: boolean
  readonly #authentication: Authentication
  readonly #transactions: Transactions
  readonly #reader = new StunReader()
  readonly #channels = new Map<number, TransportAddress>()
  readonly #events: ClientEvent[] = []
  readonly #transmits: Uint8Array[] = []

  constructor(options: TurnClientOptions) {
    this.#crypto = options.crypto
    this.#stream = options.transport === 'tcp' || options.transport === 'tls'
    this.#authentication = new Authentication(options.username, options.password, options.crypto)
    this.#transactions = new Transactions(this.#stream, { ...DEFAULT_TIMING, ...options.timing })
  }

  /** The server's realm, undefined until it asked for credentials. */
  get realm(): string | undefined {
    return this.#authentication.realm
  }

  /** Asks for our address as the server sees it; answered by `mapped` (RFC 8489 §3). */
  binding(now: number): void {
    this.#request({ step: 'binding' }, 0, now)
  }

  /** Answered by `allocated` (RFC 8656 §7). */
  allocate(now: number, options: AllocateOptions = {}): void {
    this.#request({ step: 'allocate', options }, 0, now)
  }

  /** Answered by `refreshed`, or `closed` for a lifetime of 0 (RFC 8656 §8). */
  refresh(now: number, lifetimeSeconds?: number): void {
    this.#request({ step: 'refresh', lifetimeSeconds }, 0, now)
  }

  /** Answered by `permitted` (RFC 8656 §10). */
  createPermission(now: number, peers: readonly TransportAddress[]): void {
    this.#request({ step: 'permission', peers: peers.map((peer) => peer.clone()) }, 0, now)
  }

  /** Answered by `bound` (RFC 8656 §12). */
  bindChannel(now: number, channel: number, peer: TransportAddress): void {
    this.#request({ step: 'channel', channel, peer: peer.clone() }, 0, now)
  }

  /** Sends to a peer by Send indication (RFC 8656 §11.1). */
  sendIndication(peer: TransportAddress, data: Uint8Array): void {
    const bytes = WRITER.start(METHOD.Send, CLASS.Indication, this.#crypto.randomBytes(12))
      .addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
      .addBytes(ATTRIBUTE.Data, data)
      .finish()
    this.#transmit(bytes)
  }

  /** Sends to the peer of a bound channel (RFC 8656 §12.5). */
  sendChannel(channel: number, data: Uint8Array): void {
    const length = this.#stream ? padded(data.length) : data.length
    const bytes = new Uint8Array(CHANNEL_HEADER_BYTES + length)
    writeChannelHeader(bytes, 0, channel, data.length)
    bytes.set(data, CHANNEL_HEADER_BYTES)
    this.#transmit(bytes)
  }

  /** One datagram or one frame from the server; foreign and malformed ones are ignored. */
  handleData(buffer: Uint8Array, offset: number, length: number, now: number): void {
    if (length > 0 && isChannelDataByte(buffer[offset]!)) this.#handleChannelData(buffer, offset, length)
    else if (this.#reader.read(buffer, offset, length) === 'ok') this.#handleMessage(now)
  }

  /** The next bytes for the server, one datagram or frame each. */
  nextTransmit(): Uint8Array | undefined {
    return this.#transmits.shift()
  }

  nextEvent(): ClientEvent | undefined {
    return this.#events.shift()
  }

  /** When `handleTimeout` has work, or Infinity. */
  pollTimeout(): number {
    return this.#transactions.pollTimeout()
  }

  handleTimeout(now: number): void {
    this.#transactions.handleTimeout(
      now,
      (bytes) => this.#transmit(bytes),
      (expired) => this.#fail(expired.request, 'timeout', 0, 'the server did not answer'),
    )
  }

  #request(request: ClientRequest, retries: number, now: number): void {
    const id = this.#crypto.randomBytes(12)
    const writer = WRITER.start(METHODS[request.step], CLASS.Request, id)
    addAttributes(writer, request)
    const authenticated = request.step !== 'binding' && this.#authentication.realm !== undefined
    const bytes = writer.finish(authenticated ? this.#authentication.sign(writer) : { fingerprint: true })
    const [id0, id1, id2] = [readUint32(id, 0), readUint32(id, 4), readUint32(id, 8)]
    const added = this.#transactions.add({ id0, id1, id2, request, bytes, authenticated, retries }, now)
    if (added) this.#transmit(bytes)
    else this.#fail(request, 'timeout', 0, 'too many requests wait for answers')
  }

  #handleChannelData(buffer: Uint8Array, offset: number, length: number): void {
    const payload = channelPayloadLength(buffer, offset, length)
    const peer = this.#channels.get(channelNumber(buffer, offset))
    if (payload < 0 || peer === undefined) return
    const start = offset + CHANNEL_HEADER_BYTES
    this.#event({ kind: 'data', peer, data: buffer.subarray(start, start + payload) })
  }

  #handleMessage(now: number): void {
    const { method, messageClass } = this.#reader
    if (messageClass === CLASS.Indication && method === METHOD.Data) this.#handleDataIndication()
    if (messageClass !== CLASS.Success && messageClass !== CLASS.Error) return
    const transaction = this.#transactions.take(this.#reader)
    if (transaction === undefined) return
    if (METHODS[transaction.request.step] !== method || !this.#trusts(transaction)) {
      this.#transactions.putBack(transaction)
    } else if (messageClass === CLASS.Success) this.#handleSuccess(transaction)
    else this.#handleError(transaction, now)
  }

  #handleDataIndication(): void {
    const peerAt = this.#reader.find(ATTRIBUTE.XorPeerAddress)
    const dataAt = this.#reader.find(ATTRIBUTE.Data)
    const peer = new TransportAddress()
    if (peerAt < 0 || dataAt < 0 || !readXorAddress(this.#reader, peerAt, peer)) return
    this.#event({ kind: 'data', peer, data: this.#reader.value(dataAt) })
  }

  /** A success must prove itself when the request did; an error only if it claims to (RFC 8489 §9.2.5). */
  #trusts(transaction: Transaction): boolean {
    if (!transaction.authenticated) return true
    const { messageClass, hasIntegrity, hasIntegritySha256 } = this.#reader
    if (messageClass === CLASS.Error && !hasIntegrity && !hasIntegritySha256) return true
    return this.#authentication.verifies(this.#reader)
  }

  #handleSuccess({ request }: Transaction): void {
    const event = readSuccess(this.#reader, request)
    if (event === undefined) {
      this.#fail(request, 'malformed', 0, 'the answer lacks what it must carry')
      return
    }
    if (event.kind === 'bound') this.#channels.set(event.channel, event.peer)
    if (event.kind === 'closed') this.#channels.clear()
    this.#event(event)
  }

  #handleError(transaction: Transaction, now: number): void {
    const error = readError(this.#reader)
    if (error === undefined) {
      this.#fail(transaction.request, 'malformed', 0, 'the error response carries no ERROR-CODE')
      return
    }
    const stale = error.code === ERROR.StaleNonce
    const challenged = error.code === ERROR.Unauthenticated && !transaction.authenticated
    const mayRetry =
      transaction.retries < AUTHENTICATION_RETRIES_MAX && transaction.request.step !== 'binding'
    if ((stale || challenged) && mayRetry && this.#authentication.learn(this.#reader)) {
      this.#request(transaction.request, transaction.retries + 1, now)
      return
    }
    this.#fail(transaction.request, 'refused', error.code, error.reason, error.alternate)
  }

  #fail(
    request: ClientRequest,
    cause: FailureCause,
    code: number,
    reason: string,
    alternate?: TransportAddress,
  ): void {
    const failed = { kind: 'failed', step: request.step, cause, code, reason } as const
    this.#event(alternate === undefined ? failed : { ...failed, alternate })
  }

  #event(event: ClientEvent): void {
    if (this.#events.length < QUEUE_MAX) this.#events.push(event)
  }

  #transmit(bytes: Uint8Array): void {
    if (this.#transmits.length < QUEUE_MAX) this.#transmits.push(bytes)
  }
}

function addAttributes(writer: StunWriter, request: ClientRequest): void {
  if (request.step === 'allocate') addAllocateAttributes(writer, request.options)
  if (request.step === 'refresh' && request.lifetimeSeconds !== undefined) {
    writer.addUint32(ATTRIBUTE.Lifetime, request.lifetimeSeconds)
  }
  if (request.step === 'permission') {
    for (const peer of request.peers) writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
  }
  if (request.step === 'channel') {
    writer.addChannelNumber(request.channel).addXorAddress(ATTRIBUTE.XorPeerAddress, request.peer)
  }
}

function addAllocateAttributes(writer: StunWriter, options: AllocateOptions): void {
  writer.addFirstByte(ATTRIBUTE.RequestedTransport, TRANSPORT_PROTOCOL.Udp)
  if (options.lifetimeSeconds !== undefined) writer.addUint32(ATTRIBUTE.Lifetime, options.lifetimeSeconds)
  if (options.family !== undefined) {
    const code = options.family === 4 ? FAMILY_CODE.IPv4 : FAMILY_CODE.IPv6
    writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, code)
  }
  if (options.dual === true) writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, FAMILY_CODE.IPv6)
  if (options.dontFragment === true) writer.addFlag(ATTRIBUTE.DontFragment)
}
