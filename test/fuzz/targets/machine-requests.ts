import { createHmac } from 'node:crypto'
import {
  type CredentialClaims,
  formatSignedUsername,
  signedPassword,
  signingKey,
} from '../../../relay/api/signed-credential.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { longTermKey, userhash } from '../../../relay/stun/integrity.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { OFFERED_PASSWORD_ALGORITHMS, passwordKey } from '../../../relay/stun/password-algorithm.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import { sealAccessToken } from '../../support/access-token.ts'
import { address, EPOCH_SECONDS, OTHER_USER, REALM, request, USER } from '../../support/turn-harness.ts'
import type { Input } from '../input.ts'
import { type FuzzedClient, REST_SECRET, SECOND_REALM, TOKEN_KEY, TOKEN_SERVER } from './machine-settings.ts'
import type { MachineWorld } from './machine-world.ts'

const ATTRIBUTES_MAX = 6
const PEERS = [
  '8.8.8.8:5000',
  '8.8.8.8:5001',
  '9.9.9.9:443',
  '[2600::1]:5000',
  '1.1.1.1:53',
  '8.8.8.8:0',
  '10.0.0.1:5000',
  '127.0.0.1:9641',
  '192.0.2.1:3478',
  '[2001:db8::1]:50000',
  '[::ffff:8.8.8.8]:5000',
  '1.1.1.1:5000',
].map(address)
export const USERS = [
  USER,
  OTHER_USER,
  rest(`${EPOCH_SECONDS + 4000}:carol`),
  rest(`${EPOCH_SECONDS - 1}:carol`),
  { ...USER, password: 'wrong' },
  { username: 'nobody', password: 'x' },
  signed({ user: 'dora', tenant: 'acme', allocations: 1, peers: ['8.8.8.0/24'] }),
  signed({ user: 'dora', tenant: 'acme', tenantAllocations: 2, bytesPerSecond: 1000 }),
]
/** Allocate with a REQUESTED-TRANSPORT of TCP. */
const ALLOCATE_TCP = METHOD.Allocate | 0x1_0000
const METHODS = [
  METHOD.Allocate,
  METHOD.CreatePermission,
  METHOD.ChannelBind,
  METHOD.Refresh,
  METHOD.Binding,
  METHOD.Connect,
  METHOD.ConnectionBind,
  0x123,
  ALLOCATE_TCP,
]
const MAC_KEY = new Uint8Array(20).fill(9)
const TOKEN = token(EPOCH_SECONDS)
const STALE_TOKEN = token(EPOCH_SECONDS - 7200)
const LIFETIMES = [0, 1, 600, 3600, 0xffffffff]
export const CHANNELS = [0x4000, 0x4001, 0x4002, 0x4fff, 0x3fff, 0x5000]
/** MD5 and MESSAGE-INTEGRITY, or what RFC 8489 added. */
const SIGNATURES = [
  'sha1',
  'sha1',
  'sha256',
  'userhash',
  'md5-by-choice',
  'cut',
  'bid-down',
  'token',
  'stale-token',
  'cut-token',
  'second-realm',
] as const

/** A request as a client makes it, or nearly so. */
export function ask(world: MachineWorld, input: Input): void {
  const client = input.pick(world.clients)
  const wish = input.pick(METHODS)
  const method = wish & 0xffff
  const user = input.pick([...USERS, undefined])
  const extra = Math.min(input.byte(), ATTRIBUTES_MAX)
  if (user && client.nonce === undefined) {
    world.fromClient(client, request(METHOD.Allocate, { id: id(0), attributes: udp }))
  }
  const options = {
    id: id(input.byte()),
    user,
    nonce: nonce(world, client, input),
    fingerprint: extra % 2 === 1,
    attributes: (writer: StunWriter) => {
      needed(world, input, writer, wish)
      for (let i = 0; i < extra; i++) attribute(world, input, writer)
    },
  }
  const bytes = extra > 1 && user ? sign(method, { ...options, user }, input) : request(method, options)
  world.lastRequest = new Uint8Array(bytes)
  world.fromClient(client, bytes)
}

interface Signed {
  readonly id: Uint8Array
  readonly user: { readonly username: string; readonly password: string }
  readonly nonce: string | undefined
  readonly fingerprint: boolean
  readonly attributes: (writer: StunWriter) => void
}

/** A request under one of the signatures of RFC 8489 §9.2. */
function sign(method: number, options: Signed, input: Input): Uint8Array {
  const how = input.pick(SIGNATURES)
  if (how === 'sha1') return request(method, { ...options, nonce: options.nonce ?? '' })
  if (how === 'token' || how === 'stale-token' || how === 'cut-token') return byToken(method, options, how)
  if (how === 'second-realm') return bySecondRealm(method, options)
  const { username, password } = options.user
  const writer = new StunWriter().start(method, CLASS.Request, options.id)
  options.attributes(writer)
  if (how === 'userhash') writer.addBytes(ATTRIBUTE.Userhash, userhash(nodeCrypto, username, REALM))
  else writer.addText(ATTRIBUTE.Username, username)
  writer.addText(ATTRIBUTE.Realm, REALM).addText(ATTRIBUTE.Nonce, options.nonce ?? '')
  const offer = how === 'bid-down' ? OFFERED_PASSWORD_ALGORITHMS.subarray(4) : OFFERED_PASSWORD_ALGORITHMS
  const algorithm = how === 'md5-by-choice' || how === 'bid-down' ? 'md5' : 'sha256'
  writer.addBytes(ATTRIBUTE.PasswordAlgorithms, offer)
  writer.addUint32(ATTRIBUTE.PasswordAlgorithm, algorithm === 'md5' ? 0x1_0000 : 0x2_0000)
  const sha256Key = passwordKey(nodeCrypto, algorithm, username, REALM, password)
  if (how !== 'cut') return writer.finish({ sha256Key, crypto: nodeCrypto, fingerprint: options.fingerprint })
  return cut(writer.finish({ sha256Key, crypto: nodeCrypto }), 16 + (input.byte() % 4) * 4, sha256Key)
}

/** A request with an ACCESS-TOKEN (RFC 7635). */
function byToken(method: number, options: Signed, how: 'token' | 'stale-token' | 'cut-token'): Uint8Array {
  const writer = new StunWriter().start(method, CLASS.Request, options.id)
  options.attributes(writer)
  writer.addText(ATTRIBUTE.Username, TOKEN_KEY.id).addText(ATTRIBUTE.Realm, REALM)
  writer.addText(ATTRIBUTE.Nonce, options.nonce ?? '')
  const token = how === 'stale-token' ? STALE_TOKEN : TOKEN
  writer.addBytes(ATTRIBUTE.AccessToken, how === 'cut-token' ? token.subarray(0, 40) : token)
  return writer.finish({ integrityKey: MAC_KEY, crypto: nodeCrypto, fingerprint: options.fingerprint })
}

/** A request of a user of the other realm. */
function bySecondRealm(method: number, options: Signed): Uint8Array {
  const { realm, credentials, origins } = SECOND_REALM
  const { username, password } = credentials.users[0]!
  const writer = new StunWriter().start(method, CLASS.Request, options.id)
  options.attributes(writer)
  writer.addText(ATTRIBUTE.Origin, origins[0]!).addText(ATTRIBUTE.Username, username)
  writer.addText(ATTRIBUTE.Realm, realm).addText(ATTRIBUTE.Nonce, options.nonce ?? '')
  const integrityKey = longTermKey(nodeCrypto, username, realm, password)
  return writer.finish({ integrityKey, crypto: nodeCrypto, fingerprint: options.fingerprint })
}

/** A message whose MESSAGE-INTEGRITY-SHA256 has fewer bytes (RFC 8489 §14.6). */
function cut(message: Uint8Array, bytes: number, key: Uint8Array): Uint8Array {
  const short = message.slice(0, message.length - 32 + bytes)
  const view = new DataView(short.buffer)
  view.setUint16(2, short.length - 20)
  view.setUint16(short.length - bytes - 2, bytes)
  const covered = short.subarray(0, short.length - bytes - 4)
  short.set(nodeCrypto.hmacSha256(key, covered).subarray(0, bytes), short.length - bytes)
  return short
}

/** What the method cannot do without. */
function needed(world: MachineWorld, input: Input, writer: StunWriter, method: number): void {
  if (method === METHOD.Allocate) udp(writer)
  if (method === ALLOCATE_TCP) writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6)
  if (method === METHOD.Connect) writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input))
  if (method === METHOD.ConnectionBind) {
    writer.addUint32(ATTRIBUTE.ConnectionId, input.pick([...world.tcpPeers.ids, 99]))
  }
  if (method === METHOD.ChannelBind) writer.addChannelNumber(input.pick(CHANNELS))
  if (method === METHOD.ChannelBind || method === METHOD.CreatePermission) {
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input))
  }
}

export function attribute(world: MachineWorld, input: Input, writer: StunWriter): void {
  const adds: (() => StunWriter)[] = [
    () => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input)),
    () => writer.addUint32(ATTRIBUTE.Lifetime, input.pick(LIFETIMES)),
    () => writer.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(input.byte())),
    () => writer.addBytes(ATTRIBUTE.ReservationToken, world.memory.token),
    () => writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, input.byte() % 4),
    () => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, input.byte() % 4),
    () => writer.addFirstByte(ATTRIBUTE.RequestedTransport, input.pick([17, 6, 0])),
    () => writer.addFlag(ATTRIBUTE.DontFragment),
    () => writer.addChannelNumber(input.pick(CHANNELS)),
    () => writer.addBytes(input.uint16(), input.take(input.byte() % 64)),
    () => writer.addFlag(ATTRIBUTE.MobilityTicket),
    () => writer.addBytes(ATTRIBUTE.MobilityTicket, input.pick(world.memory.tickets)),
    () => writer.addUint32(ATTRIBUTE.ChangeRequest, input.byte() % 8),
    () => writer.addUint32(ATTRIBUTE.ResponsePort, input.pick([0, 53, 1024, 4000, 4001]) * 65_536),
    () => writer.addBytes(ATTRIBUTE.Padding, new Uint8Array(input.byte() * 2)),
    () => writer.addText(ATTRIBUTE.Origin, SECOND_REALM.origins[0]!),
    () => writer.addText(ATTRIBUTE.Realm, SECOND_REALM.realm),
  ]
  input.pick(adds)()
}

export function peer(world: MachineWorld, input: Input) {
  return input.pick([...PEERS, ...world.bound.values()])
}

function nonce(world: MachineWorld, client: FuzzedClient, input: Input): string | undefined {
  return input.pick([client.nonce, client.nonce, client.nonce, world.clients[0]!.nonce, 'x', ''])
}

function udp(writer: StunWriter): void {
  writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
}

function id(last: number): Uint8Array {
  return new Uint8Array(12).fill(last)
}

function token(timestampSeconds: number): Uint8Array {
  return sealAccessToken({
    key: Buffer.from(TOKEN_KEY.key, 'base64'),
    serverName: TOKEN_SERVER,
    macKey: MAC_KEY,
    timestampSeconds,
    lifetimeSeconds: 3600,
    nonce: new Uint8Array(12),
  })
}

function signed(
  claims: Pick<
    CredentialClaims,
    'user' | 'tenant' | 'allocations' | 'tenantAllocations' | 'bytesPerSecond' | 'peers'
  >,
) {
  const username = formatSignedUsername({ expiresUnixSeconds: EPOCH_SECONDS + 4000, keyId: 'k', ...claims })
  return { username, password: signedPassword(nodeCrypto, signingKey(nodeCrypto, REST_SECRET), username) }
}

function rest(username: string) {
  return { username, password: createHmac('sha1', REST_SECRET).update(username).digest('base64') }
}
