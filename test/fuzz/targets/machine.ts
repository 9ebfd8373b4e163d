import { createHmac } from 'node:crypto'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import { address, EPOCH_SECONDS, OTHER_USER, request, USER } from '../../support/turn-harness.ts'
import { Input } from '../input.ts'
import type { Target } from '../target.ts'
import { type FuzzedClient, MachineWorld, REST_SECRET } from './machine-world.ts'

const STEPS_MAX = 64
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
const USERS = [
  USER,
  OTHER_USER,
  rest(`${EPOCH_SECONDS + 4000}:carol`),
  rest(`${EPOCH_SECONDS - 1}:carol`),
  { ...USER, password: 'wrong' },
  { username: 'nobody', password: 'x' },
]
const METHODS = [
  METHOD.Allocate,
  METHOD.CreatePermission,
  METHOD.ChannelBind,
  METHOD.Refresh,
  METHOD.Binding,
  METHOD.Connect,
  METHOD.ConnectionBind,
  0x123,
]
const LIFETIMES = [0, 1, 600, 3600, 0xffffffff]
const CHANNELS = [0x4000, 0x4001, 0x4002, 0x4fff, 0x3fff, 0x5000]
const WAITS = [1, 9, 31, 61, 299, 301, 601, 3601, 90_000]

/** The TURN server: an input is a list of what clients, peers, the system and the operator do. */
export const machine: Target = {
  code: /\/relay\/(stun|turn)\//,
  seeds: [
    // Allocate, permit, bind a channel; data both ways; refresh; let all expire.
    [
      0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 3, 0, 0, 4, 0, 2, 0, 0, 9, 3, 0, 0, 0, 9, 4, 0, 0,
      9,
    ],
    // Two clients that meet on the relay.
    [0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 12, 0, 1, 1, 0, 1, 0, 12, 3, 0, 12, 9, 3, 1, 12, 9],
    // Binds that come late, fail, or never come.
    [6, 1, 0, 0, 0, 0, 0, 7, 6, 2, 0, 1, 0, 0, 0, 5, 1, 6, 1, 0, 2, 0, 0, 0, 5, 2],
  ].map((numbers) => Uint8Array.from(numbers)),
  dictionary: [Uint8Array.of(0, 0, 0, 0, 0), Uint8Array.of(5, 5), Uint8Array.of(5, 8), Uint8Array.of(8, 1)],
  run: (bytes) => runMachine(bytes).states,
}

/** Runs an input to the end of every lifetime. */
export function runMachine(bytes: Uint8Array): MachineWorld {
  const world = new MachineWorld()
  const input = new Input(bytes)
  for (let steps = 0; steps < STEPS_MAX && !input.done; steps++) input.pick(STEPS)(world, input)
  if (input.byte() === 1) world.step(() => world.server.closeAll('shutdown', world.now))
  world.pass(90_000)
  world.checkEmpty()
  return world
}

type Step = (world: MachineWorld, input: Input) => void

const STEPS: readonly Step[] = [
  ask,
  (world, input) => world.fromClient(input.pick(world.clients), input.take(input.byte())),
  (world, input) => {
    const client = input.pick(world.clients)
    const channel = input.pick(CHANNELS)
    const length = input.byte()
    const claimed = input.byte() === 1 ? input.uint16() : length
    const header = [channel >> 8, channel & 255, claimed >> 8, claimed & 255]
    world.fromClient(client, Uint8Array.of(...header, ...new Uint8Array(length)))
  },
  (world, input) => {
    const client = input.pick(world.clients)
    const writer = new StunWriter().start(METHOD.Send, CLASS.Indication, new Uint8Array(12))
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input))
    writer.addBytes(ATTRIBUTE.Data, new Uint8Array(input.byte()))
    if (input.byte() === 1) attribute(world, input, writer)
    world.fromClient(client, writer.finish())
  },
  (world, input) => {
    const relay = input.pick([...world.bound.keys(), 99])
    world.fromPeer(relay, peer(world, input), new Uint8Array(input.byte() === 255 ? 65_507 : input.byte()))
  },
  (world, input) => world.pass(input.pick(WAITS)),
  (world, input) => {
    world.onBind = input.pick(['bound', 'later', 'port-in-use', 'unavailable'] as const)
  },
  (world) => world.answerBind(),
  spoil,
  operate,
]

/** A request as a client makes it, or nearly so. */
function ask(world: MachineWorld, input: Input): void {
  const client = input.pick(world.clients)
  const method = input.pick(METHODS)
  const user = input.pick([...USERS, undefined])
  const extra = Math.min(input.byte(), ATTRIBUTES_MAX)
  if (user && client.nonce === undefined) world.fromClient(client, request(METHOD.Allocate, { id: id(0) }))
  const bytes = request(method, {
    id: id(input.byte()),
    user,
    nonce: nonce(world, client, input),
    fingerprint: extra % 2 === 1,
    attributes: (writer) => {
      needed(world, input, writer, method)
      for (let i = 0; i < extra; i++) attribute(world, input, writer)
    },
  })
  world.lastRequest = new Uint8Array(bytes)
  world.fromClient(client, bytes)
}

/** What the method cannot do without. */
function needed(world: MachineWorld, input: Input, writer: StunWriter, method: number): void {
  if (method === METHOD.Allocate) writer.addFirstByte(ATTRIBUTE.RequestedTransport, 17)
  if (method === METHOD.ChannelBind) writer.addChannelNumber(input.pick(CHANNELS))
  if (method === METHOD.ChannelBind || method === METHOD.CreatePermission) {
    writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input))
  }
}

function attribute(world: MachineWorld, input: Input, writer: StunWriter): void {
  const adds: (() => StunWriter)[] = [
    () => writer.addXorAddress(ATTRIBUTE.XorPeerAddress, peer(world, input)),
    () => writer.addUint32(ATTRIBUTE.Lifetime, input.pick(LIFETIMES)),
    () => writer.addBytes(ATTRIBUTE.EvenPort, Uint8Array.of(input.byte())),
    () => writer.addBytes(ATTRIBUTE.ReservationToken, world.token),
    () => writer.addFirstByte(ATTRIBUTE.RequestedAddressFamily, input.byte() % 4),
    () => writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, input.byte() % 4),
    () => writer.addFirstByte(ATTRIBUTE.RequestedTransport, input.pick([17, 6, 0])),
    () => writer.addFlag(ATTRIBUTE.DontFragment),
    () => writer.addChannelNumber(input.pick(CHANNELS)),
    () => writer.addBytes(input.uint16(), input.take(input.byte() % 64)),
  ]
  input.pick(adds)()
}

/** The last authentic request again: from somebody else, later, changed, cut, or longer. */
function spoil(world: MachineWorld, input: Input): void {
  const client = input.pick(world.clients)
  const bytes = world.lastRequest.slice()
  const how = input.byte() % 4
  if (how === 1 && bytes.length > 0) bytes[input.uint16() % bytes.length]! ^= input.byte()
  if (how === 2) world.fromClient(client, bytes.subarray(0, input.uint16() % (bytes.length + 1)))
  else if (how === 3 && bytes.length >= 20) {
    const tail = input.take((input.byte() % 16) * 4)
    const longer = new Uint8Array([...bytes, ...tail.subarray(0, tail.length & ~3)])
    new DataView(longer.buffer).setUint16(2, longer.length - 20)
    world.fromClient(client, longer)
  } else world.fromClient(client, bytes)
}

/** What the operator and the network do to the relay. */
function operate(world: MachineWorld, input: Input): void {
  const { server } = world
  const deeds: (() => void)[] = [
    () => world.step(() => server.revoke(input.pick(USERS).username, world.now)),
    () => world.deny(input.byte() % 2 === 0 ? [] : ['8.8.8.8']),
    () => world.step(() => server.startDrain({ alternates: [address('203.0.113.99:3478')] })),
    () => world.step(() => server.endDrain()),
    () => world.closeLink(1 + (input.byte() % 2)),
    () => [1, 2].forEach((link) => void world.openLink(link)),
    () => world.fail(input.pick([...world.bound.keys(), ...world.binding.keys(), 99]), 'unavailable'),
    () => world.step(() => server.setWallClockOffset((EPOCH_SECONDS + input.uint16()) * 1000)),
  ]
  input.pick(deeds)()
}

function peer(world: MachineWorld, input: Input) {
  return input.pick([...PEERS, ...world.bound.values()])
}

function nonce(world: MachineWorld, client: FuzzedClient, input: Input): string | undefined {
  return input.pick([client.nonce, client.nonce, client.nonce, world.clients[0]!.nonce, 'x', ''])
}

function id(last: number): Uint8Array {
  return new Uint8Array(12).fill(last)
}

function rest(username: string) {
  return { username, password: createHmac('sha1', REST_SECRET).update(username).digest('base64') }
}
