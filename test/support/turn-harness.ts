import type { Alternate } from '../../relay/api/alternate.ts'
import { type RelayConfigInput, relayConfig } from '../../relay/api/config.ts'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress, parseAddress } from '../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import {
  readAddress,
  readErrorCode,
  readText,
  readTypeList,
  readUint32Value,
  readXorAddress,
} from '../../relay/stun/attributes.ts'
import type { ServerCrypto } from '../../relay/stun/crypto.ts'
import { longTermKey } from '../../relay/stun/integrity.ts'
import { CLASS, METHOD, type MessageClass, methodName } from '../../relay/stun/methods.ts'
import { StunReader } from '../../relay/stun/reader.ts'
import { StunWriter } from '../../relay/stun/writer.ts'
import {
  type ClientTransport,
  type Forward,
  HEAD_ROOM_BYTES,
  type Output,
  TAIL_ROOM_BYTES,
} from '../../relay/turn/contract.ts'
import type { LoopPlace } from '../../relay/turn/loops.ts'
import type { Offload } from '../../relay/turn/offload.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import { turnServerConfig } from '../../relay/turn/server-config.ts'

export const REALM = 'turn.example.org'
export const USER = { username: 'alice', password: 'wonderland' }
export const OTHER_USER = { username: 'bob', password: 'builder' }
/** Unix time at the machine's time 0. */
export const EPOCH_SECONDS = 1_800_000_000

/** A configuration with two users and addresses of both families; `input` replaces blocks of it. */
export function relayConfigFor(input: Partial<RelayConfigInput> = {}) {
  return relayConfig.parse({
    realm: REALM,
    listeners: [{ protocol: 'udp', port: 3478 }],
    relay: {
      addresses: [{ advertise: '192.0.2.1' }, { advertise: '2001:db8::1' }],
      ports: { min: 50_000, max: 50_999 },
    },
    credentials: { users: [USER, OTHER_USER] },
    nonceKeys: [{ id: 'n1', secret: 'nonce secret' }],
    ...input,
  } satisfies RelayConfigInput)
}

/** An address from `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function address(text: string): TransportAddress {
  const colon = text.lastIndexOf(':')
  const ip = text.slice(0, colon).replace(/^\[|\]$/g, '')
  const parsed = parseAddress(ip, Number(text.slice(colon + 1)))
  if (!parsed) throw new Error(`not an address: ${text}`)
  return parsed
}

/** Another relay, from `192.0.2.1:80`. */
export function alternate(text: string, rest: Partial<Alternate> = {}): Alternate {
  const { port } = address(text)
  return { address: text.slice(0, text.lastIndexOf(':')).replace(/^\[|\]$/g, ''), port, ...rest }
}

/** What a client sees of a response or indication. */
export interface Heard {
  method: string
  class: MessageClass
  /** 0 for success. */
  code: number
  bytes: Uint8Array
  id: string
  realm?: string
  nonce?: string
  relayed?: string[]
  mapped?: string
  peer?: string
  alternate?: string
  /** Every ALTERNATE-SERVER. */
  alternates?: string[]
  domain?: string
  lifetime?: number
  unknown?: number[]
  token?: Uint8Array
  /** CONNECTION-ID. */
  connection?: number
  data?: string
  authentic: boolean
}

/** How a packet left the machine. */
export interface Sent {
  target: Forward['target']
  socket: number
  to: string
  bytes: Uint8Array
}

export interface RequestOptions {
  user?: { username: string; password: string } | undefined
  nonce?: string | undefined
  id?: Uint8Array
  fingerprint?: boolean
  attributes?: (writer: StunWriter) => void
}

/** A TURN server machine with a hand on everything round it: clock, sockets and what clients and peers send. */
export class TurnHarness {
  readonly server: TurnServer
  now = 1000
  /** Outputs that were not responses. */
  events: Output[] = []
  heard: Heard[] = []
  readonly bound = new Map<number, TransportAddress>()
  /** What the system says to a bind: nothing, a failure, or undefined for success. */
  onBind: (bind: TransportAddress) => 'pending' | 'port-in-use' | 'unavailable' | undefined = () => undefined

  /** `io` is what the sockets can do, and who does the cryptography. */
  constructor(
    input: Partial<RelayConfigInput> = {},
    io: {
      dontFragment?: boolean
      tcpPeers?: boolean
      crypto?: ServerCrypto
      offload?: Offload
      loops?: LoopPlace
    } = {},
  ) {
    const config = turnServerConfig(relayConfigFor(input))
    this.server = new TurnServer({ config, crypto: nodeCrypto, ...io })
    this.server.setWallClockOffset(EPOCH_SECONDS * 1000)
    this.addLink(1, 'udp', '192.0.2.1:3478')
  }

  addLink(id: number, transport: ClientTransport, local: string, remote?: string, movable = true): void {
    this.server.addLink({
      id,
      transport,
      local: address(local),
      remote: remote === undefined ? undefined : address(remote),
      movable,
    })
  }

  client(from = '198.51.100.7:4000', link = 1): Client {
    return new Client(this, from, link)
  }

  /** Hands bytes of a client over, with head and tail room round them. */
  fromClient(from: string, bytes: Uint8Array, link = 1): Sent | undefined {
    const { buffer, offset } = withRooms(bytes)
    const forward = this.server.handleClientData(link, address(from), buffer, offset, bytes.length, this.now)
    return sent(forward, buffer)
  }

  /** Hands a peer's datagram over at a relayed address. */
  fromPeer(relayed: string, from: string, payload: string): Sent | undefined {
    const relay = [...this.bound].find(([, bind]) => bind.port === address(relayed).port)?.[0] ?? -1
    const { buffer, offset } = withRooms(new TextEncoder().encode(payload))
    const length = new TextEncoder().encode(payload).length
    return sent(this.server.handlePeerData(relay, address(from), buffer, offset, length, this.now), buffer)
  }

  /** Plays the I/O layer until the machine has nothing to say; returns what clients heard. */
  drain(): Heard[] {
    const heard: Heard[] = []
    for (let output = this.server.nextOutput(); output; output = this.server.nextOutput()) {
      if (output.kind === 'transmit') heard.push(hear(output.bytes))
      else this.events.push(output)
      if (output.kind === 'bind-relay') this.#bind(output.relay, output.bind)
      if (output.kind === 'close-relay') this.bound.delete(output.relay)
    }
    this.heard.push(...heard)
    return heard
  }

  /** Lets time pass, firing what falls due on the way. */
  pass(seconds: number): void {
    const end = this.now + seconds * 1000
    while (this.server.pollTimeout() <= end) {
      this.now = Math.max(this.now, this.server.pollTimeout())
      this.server.handleTimeout(this.now)
      this.drain()
    }
    this.now = end
  }

  kinds(): string[] {
    return this.events.map((event) => event.kind)
  }

  #bind(relay: number, bind: TransportAddress): void {
    const failure = this.onBind(bind)
    if (failure === 'pending') return
    if (failure) this.server.relayBindFailed(relay, failure, this.now)
    else {
      this.bound.set(relay, bind)
      this.server.relayBound(relay, this.now)
    }
  }
}

/** A client of the harness: makes requests, remembers the nonce. */
export class Client {
  readonly harness: TurnHarness
  readonly from: string
  readonly link: number
  nonce: string | undefined

  constructor(harness: TurnHarness, from: string, link: number) {
    this.harness = harness
    this.from = from
    this.link = link
  }

  /** Sends a request without credentials; unless attributes are named, one that is long enough to be challenged. */
  ask(method: number, options: RequestOptions = {}): Heard | undefined {
    const long = options.user || options.attributes || method === METHOD.Binding
    const attributes = (writer: StunWriter) => void writer.addText(ATTRIBUTE.Software, 'test')
    const bytes = request(method, long ? options : { ...options, attributes })
    this.harness.fromClient(this.from, bytes, this.link)
    return this.harness.drain().at(-1)
  }

  /** Sends a request with credentials, after a challenge when there is no nonce yet. */
  request(
    method: number,
    attributes?: (writer: StunWriter) => void,
    options: RequestOptions = {},
  ): Heard | undefined {
    this.nonce ??= this.ask(method)?.nonce
    return this.ask(method, {
      user: USER,
      nonce: this.nonce,
      ...(attributes ? { attributes } : {}),
      ...options,
    })
  }

  allocate(
    attributes: (writer: StunWriter) => void = () => undefined,
    options: RequestOptions = {},
  ): Heard | undefined {
    return this.request(
      3,
      (writer) => {
        writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
        attributes(writer)
      },
      options,
    )
  }

  permit(...peers: string[]): Heard | undefined {
    return this.request(8, (writer) => {
      for (const peer of peers) writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
    })
  }

  bind(channel: number, peer: string): Heard | undefined {
    return this.request(9, (writer) => {
      writer.addChannelNumber(channel).addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer))
    })
  }

  refresh(lifetime?: number): Heard | undefined {
    return this.request(4, (writer) => {
      if (lifetime !== undefined) writer.addUint32(ATTRIBUTE.Lifetime, lifetime)
    })
  }

  send(peer: string, payload: string): Sent | undefined {
    const writer = new StunWriter(65_536).start(6, CLASS.Indication, new Uint8Array(12))
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, address(peer)).addText(ATTRIBUTE.Data, payload)
    return this.harness.fromClient(this.from, writer.finish(), this.link)
  }

  channelData(channel: number, payload: string): Sent | undefined {
    const data = new TextEncoder().encode(payload)
    const bytes = new Uint8Array(4 + data.length)
    new DataView(bytes.buffer).setUint32(0, channel * 65_536 + data.length)
    bytes.set(data, 4)
    return this.harness.fromClient(this.from, bytes, this.link)
  }
}

/** The bytes of a request. */
export function request(method: number, options: RequestOptions = {}): Uint8Array {
  const { user, nonce, attributes, id = nodeCrypto.randomBytes(12), fingerprint } = options
  const writer = new StunWriter().start(method, CLASS.Request, id)
  attributes?.(writer)
  if (!user) return writer.finish({ fingerprint })
  writer.addText(ATTRIBUTE.Username, user.username).addText(ATTRIBUTE.Realm, REALM)
  writer.addText(ATTRIBUTE.Nonce, nonce ?? '')
  const integrityKey = longTermKey(nodeCrypto, user.username, REALM, user.password)
  return writer.finish({ integrityKey, crypto: nodeCrypto, fingerprint })
}

/** Reads what a client was sent; throws where it is not a well-formed STUN message. */
export function hear(bytes: Uint8Array, key?: Uint8Array): Heard {
  const reader = new StunReader()
  if (reader.read(bytes, 0, bytes.length) !== 'ok') throw new Error('the relay sent a malformed message')
  const heard: Heard = {
    method: methodName(reader.method),
    class: reader.messageClass,
    code: 0,
    bytes,
    id: Buffer.from(bytes.subarray(8, 20)).toString('hex'),
    authentic: key ? reader.verifyIntegrity(key, nodeCrypto) : reader.hasIntegrity,
  }
  const into = new TransportAddress()
  for (let i = 0; i < reader.attributeCount; i++) readInto(heard, reader, i, into)
  return heard
}

function readInto(heard: Heard, reader: StunReader, i: number, into: TransportAddress): void {
  const text = () => readText(reader, i, 763) ?? ''
  const plain = () => (readAddress(reader, i, into) ? formatAddress(into) : 'malformed')
  const xored = () => (readXorAddress(reader, i, into) ? formatAddress(into) : 'malformed')
  switch (reader.typeAt(i)) {
    case ATTRIBUTE.ErrorCode:
      heard.code = readErrorCode(reader, i)?.code ?? Number.NaN
      break
    case ATTRIBUTE.Realm:
      heard.realm = text()
      break
    case ATTRIBUTE.Nonce:
      heard.nonce = text()
      break
    case ATTRIBUTE.XorRelayedAddress:
      heard.relayed = [...(heard.relayed ?? []), xored()]
      break
    case ATTRIBUTE.XorMappedAddress:
      heard.mapped = xored()
      break
    case ATTRIBUTE.XorPeerAddress:
      heard.peer = xored()
      break
    case ATTRIBUTE.AlternateServer:
      heard.alternates = [...(heard.alternates ?? []), plain()]
      heard.alternate ??= plain()
      break
    case ATTRIBUTE.AlternateDomain:
      heard.domain = text()
      break
    case ATTRIBUTE.Lifetime:
      heard.lifetime = readUint32Value(reader, i) ?? Number.NaN
      break
    case ATTRIBUTE.ConnectionId:
      heard.connection = readUint32Value(reader, i) ?? Number.NaN
      break
    case ATTRIBUTE.UnknownAttributes:
      heard.unknown = readTypeList(reader, i)
      break
    case ATTRIBUTE.ReservationToken:
      heard.token = reader.value(i).slice()
      break
    case ATTRIBUTE.Data:
      heard.data = text()
      break
  }
}

function withRooms(bytes: Uint8Array): { buffer: Uint8Array; offset: number } {
  const buffer = new Uint8Array(HEAD_ROOM_BYTES + bytes.length + TAIL_ROOM_BYTES)
  buffer.set(bytes, HEAD_ROOM_BYTES)
  return { buffer, offset: HEAD_ROOM_BYTES }
}

function sent(forward: Forward | undefined, buffer: Uint8Array): Sent | undefined {
  if (!forward) return undefined
  const bytes = buffer.slice(forward.offset, forward.offset + forward.length)
  return { target: forward.target, socket: forward.socket, to: formatAddress(forward.to), bytes }
}
