import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import { alternate, EPOCH_SECONDS } from '../../support/turn-harness.ts'
import { Input } from '../input.ts'
import type { Target } from '../target.ts'
import { ask, attribute, CHANNELS, peer, USERS } from './machine-requests.ts'
import { LINKS } from './machine-settings.ts'
import { MachineWorld } from './machine-world.ts'

const STEPS_MAX = 64
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
    // SHA-256 offered and used, with an integrity of 20 bytes and a hashed name too.
    [
      9, 8, 1, 0, 0, 0, 0, 0, 2, 1, 0, 2, 1, 2, 1, 2, 0, 0, 1, 0, 2, 2, 0, 5, 0, 1, 2, 1, 2, 1, 0, 0, 3, 0, 2,
      3, 0, 3, 1, 2, 1, 2,
    ],
    // A mobile client: a ticket, a channel; it talks, moves, is heard at both places, moves on, and leaves (RFC 8016).
    [
      [9, 8, 2, 0],
      [0, 0, 0, 0, 1, 1, 0, 10],
      [0, 0, 2, 0, 0, 2, 0, 0, 0],
      [2, 0, 0, 5, 0],
      [0, 1, 3, 0, 1, 3, 0, 11, 1],
      [4, 0, 0, 0, 9],
      [2, 1, 0, 5, 0],
      [4, 0, 0, 0, 9],
      [0, 6, 3, 0, 1, 4, 0, 11, 2],
      [2, 6, 0, 5, 0],
      [0, 6, 3, 0, 1, 5, 0, 1, 0],
    ].flat(),
    // A mobile client that moves to a stream, which closes.
    [
      [9, 8, 2, 0],
      [0, 0, 0, 0, 1, 1, 0, 10],
      [0, 0, 1, 0, 0, 2, 0, 0],
      [0, 2, 3, 0, 1, 3, 0, 11, 1],
      [9, 4, 1],
      [3, 0, 0, 9, 0],
      [4, 0, 0, 0, 9],
    ].flat(),
    // EVEN-PORT with a reservation, which another client of the user redeems.
    [0, 0, 0, 0, 1, 1, 0, 2, 128, 0, 1, 0, 0, 1, 2, 0, 3, 0, 0, 3, 0, 1, 3, 0, 1, 0],
    // Both families; a channel in the second, which is given back.
    [
      0, 0, 0, 0, 1, 1, 0, 5, 2, 0, 0, 1, 0, 0, 2, 0, 3, 0, 0, 2, 0, 0, 3, 0, 0, 3, 2, 0, 0, 5, 0, 0, 0, 3, 0,
      2, 4, 0, 0, 1, 0, 4, 2, 2, 0, 0, 5, 0,
    ],
    // NAT discovery on: Binding with CHANGE-REQUEST, RESPONSE-PORT and PADDING.
    [9, 8, 32, 0, 0, 0, 4, 6, 2, 1, 0, 12, 6, 12, 2, 0, 0, 4, 6, 1, 2, 0, 13, 3, 0, 0, 4, 6, 1, 3, 0, 14, 30],
    // A TCP allocation: a Connect that is answered, a ConnectionBind on another stream, data both ways, the end.
    [
      9, 8, 0, 1, 0, 2, 8, 0, 0, 1, 0, 0, 2, 5, 0, 0, 2, 0, 0, 11, 0, 0, 0, 9, 6, 0, 0, 3, 0, 0, 13, 0, 0, 9,
      13, 0, 1, 9, 12, 0,
    ],
    // A TCP peer that connects by itself, bound and cut off by the client's stream.
    [9, 8, 0, 1, 0, 2, 8, 0, 0, 1, 0, 0, 2, 1, 0, 0, 2, 0, 0, 11, 3, 0, 0, 0, 9, 6, 0, 0, 3, 0, 0, 9, 4, 7],
    // An ACCESS-TOKEN, then an old one and a broken one.
    [
      9, 8, 0, 2, 0, 0, 0, 0, 2, 1, 0, 7, 1, 2, 1, 2, 0, 1, 0, 0, 2, 1, 0, 8, 1, 2, 1, 2, 0, 1, 0, 0, 2, 1, 0,
      9, 1, 2, 1, 2,
    ],
    // A user of a second realm: two allocations, one too many, and one of another realm's user.
    [
      [9, 8, 0, 4],
      [0, 0, 0, 0, 2, 1, 0, 10, 1, 2, 1, 2],
      [0, 1, 0, 0, 2, 1, 0, 10, 1, 2, 1, 2],
      [0, 6, 0, 0, 2, 1, 0, 10, 1, 2, 1, 2],
      [0, 6, 0, 0, 0, 2, 0],
      [0, 0, 3, 0, 2, 3, 0, 10, 1, 2, 1, 0],
    ].flat(),
    // Signed credentials of one tenant.
    [0, 0, 0, 6, 0, 1, 0, 0, 1, 0, 6, 0, 1, 0, 0, 1, 0, 7, 0, 1, 0, 0, 0, 1, 6, 0, 2, 0, 2],
    // Drained, redirected, revoked; an ICMP error for what was sent.
    [
      0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 2, 0, 0, 10, 0, 0, 3, 4, 5, 0, 9, 2, 0, 1, 0, 0, 0, 3, 0, 9, 0, 0,
      9, 3, 0, 1, 0, 0, 0, 4, 0,
    ],
  ].map((numbers) => Uint8Array.from(numbers)),
  dictionary: [
    [0, 0, 0, 0, 0],
    [5, 5],
    [5, 8],
    [8, 1],
    [9, 8, 3, 0],
    [9, 8, 1, 0],
    [9, 8, 2, 0],
    [9, 8, 0, 1],
    [9, 8, 2, 2],
    [9, 8, 254, 3],
    [9, 8, 2, 4],
    [11, 0, 0],
    [11, 3, 0, 0],
    [9, 9],
    [10, 0, 0, 3, 4],
    [0, 1, 3, 0, 1, 3, 0, 11, 1],
    [0, 0, 0, 0, 1, 1, 0, 10],
    [0, 1, 0, 0, 1, 2, 0, 3],
    [0, 0, 0, 0, 1, 1, 0, 5, 2],
    [0, 0, 0, 0, 2, 1, 0, 2],
  ].map((numbers) => Uint8Array.from(numbers)),
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
  /** An ICMP error for what was sent, or was not. */
  (world, input) => {
    const relay = input.pick([...world.bound.keys(), 99])
    const [to, type, code] = [peer(world, input), input.byte() % 16, input.byte() % 16]
    world.step(() => world.server.handlePeerError(relay, to, type, code, input.uint16(), world.now))
  },
  touchPeer,
]

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

/** What the network does to connections with TCP peers: they are made, refused or ended, and bring data. */
function touchPeer(world: MachineWorld, input: Input): void {
  const { server, tcpPeers } = world
  const known = () => input.pick([...tcpPeers.ids, 99])
  const deeds: (() => void)[] = [
    () => {
      const id = known()
      tcpPeers.established(id)
      world.step(() => server.peerConnected(id, world.now))
    },
    () => {
      const id = known()
      tcpPeers.end(id)
      world.step(() => server.peerClosed(id))
    },
    () => {
      const [id, source] = [known(), input.byte() % 2 === 0 ? 'client' : 'peer'] as const
      world.step(() => void server.handleSplicedData(id, source, input.byte() * 100, world.now))
    },
    () => {
      const [relay, from] = [input.pick([...world.bound.keys(), 99]), peer(world, input)]
      world.step(() => {
        const id = server.handlePeerConnection(relay, from, world.now)
        if (id !== undefined) tcpPeers.accepted(id)
      })
    },
  ]
  input.pick(deeds)()
}

/** What the operator and the network do to the relay. */
function operate(world: MachineWorld, input: Input): void {
  const { server } = world
  const deeds: (() => void)[] = [
    () => world.step(() => server.revoke(input.pick(USERS).username, world.now)),
    () => world.deny(input.byte() % 2 === 0 ? [] : ['8.8.8.8']),
    () => world.step(() => server.startDrain({ alternates: [alternate('203.0.113.99:3478')] })),
    () => world.step(() => server.endDrain()),
    () => world.closeLink(input.pick(LINKS).id),
    () => LINKS.forEach(({ id }) => void world.openLink(id)),
    () => world.fail(input.pick([...world.bound.keys(), ...world.binding.keys(), 99]), 'unavailable'),
    () => world.step(() => server.setWallClockOffset((EPOCH_SECONDS + input.uint16()) * 1000)),
    () => world.configure(input.byte() | (input.byte() << 8)),
    () => world.step(() => server.revoke('carol', world.now)),
    () => world.step(() => server.setAlternates([alternate('[2001:db8::99]:3478')])),
  ]
  input.pick(deeds)()
}
