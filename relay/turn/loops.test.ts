import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  address,
  type Client,
  type Heard,
  request,
  TurnHarness,
  USER,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { formatAddress } from '../stun/address-text.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import type { StunWriter } from '../stun/writer.ts'

const PEER = '8.8.8.8:5000'
const [HOME, AWAY] = ['198.51.100.7:4000', '203.0.113.9:9999']
const RELAY = 77

/** The event loops of one relay; what one passes on is heard by the other. */
function loops(input: Partial<RelayConfigInput> = {}, relay = RELAY) {
  const make = (own: number) =>
    new TurnHarness({ mobility: true, ...input }, { tcpPeers: true, loops: { relay, own, count: 2 } })
  const machines = [make(1), make(2)] as const
  const passed = (harness: TurnHarness) => harness.events.filter((event) => event.kind === 'pass')
  /** What the owner answers to what this loop passed on last. */
  const answer = (harness: TurnHarness, link = 1): Heard | undefined => {
    const output = passed(harness).at(-1)
    if (output?.kind !== 'pass') return undefined
    const owner = machines[output.loop - 1]!
    owner.fromClient(formatAddress(output.client), output.bytes, link)
    return owner.drain().at(-1)
  }
  return { machines, passed, answer }
}

const mobile = (writer: StunWriter) => writer.addFlag(ATTRIBUTE.MobilityTicket)

function ticketIn(heard: Heard | undefined): Uint8Array {
  const reader = new StunReader()
  reader.read(heard!.bytes, 0, heard!.bytes.length)
  return reader.value(reader.find(ATTRIBUTE.MobilityTicket)).slice()
}

const present = (client: Client, ticket: Uint8Array, user = USER) =>
  client.request(METHOD.Refresh, (writer) => writer.addBytes(ATTRIBUTE.MobilityTicket, ticket), { user })

test('RFC 8016 §3.2.2: a ticket of another event loop takes the client there', () => {
  const { machines, answer } = loops()
  const [first, second] = machines
  const home = first.client(HOME)
  const success = home.allocate(mobile)
  home.bind(0x4000, PEER)
  assert.equal(present(second.client(AWAY), ticketIn(success)), undefined)
  assert.equal(answer(second)?.code, 0)
  assert.equal(first.client(AWAY).channelData(0x4000, 'x')?.to, PEER)
  assert.deepEqual([first.server.allocationCount, second.server.allocationCount], [1, 0])
})

test('RFC 8656 §7.2: a reservation of another event loop is redeemed there', () => {
  const { machines, answer } = loops()
  const [first, second] = machines
  const success = second.client(HOME).allocate((writer) => writer.addEvenPort(true))
  const redeem = (writer: StunWriter) => writer.addBytes(ATTRIBUTE.ReservationToken, success!.token!)
  first.client(AWAY).allocate(redeem)
  assert.equal(answer(first)?.code, 0)
  assert.deepEqual([first.server.allocationCount, second.server.allocationCount], [0, 2])
})

test('what another loop is asked for is authenticated there', () => {
  const { machines, answer } = loops()
  const [first, second] = machines
  const ticket = ticketIn(first.client(HOME).allocate(mobile))
  present(second.client(AWAY), ticket, { ...USER, password: 'guessed' })
  assert.equal(answer(second)?.code, 401)
  assert.equal(first.server.hasClient(1, address(AWAY)), false)
})

const FORGED: readonly [name: string, loop: number][] = [
  ['none', 0],
  ['one that the relay does not have', 9],
]
for (const [name, loop] of FORGED) {
  test(`a reservation token that names ${name} is passed to nobody`, () => {
    const { machines, passed } = loops()
    const token = new Uint8Array(8).fill(7).with(0, loop)
    const client = machines[0].client(HOME)
    const refused = client.allocate((writer) => writer.addBytes(ATTRIBUTE.ReservationToken, token))
    assert.equal(refused?.code, 508)
    assert.equal(passed(machines[0]).length, 0)
  })
}

test('a forged token is passed to the loop that it names, which refuses it', () => {
  const { machines, answer } = loops()
  const token = new Uint8Array(8).fill(7).with(0, 2)
  machines[0].client(HOME).allocate((writer) => writer.addBytes(ATTRIBUTE.ReservationToken, token))
  assert.equal(answer(machines[0])?.code, 508)
  assert.equal(machines[1].server.allocationCount, 0)
})

test('RFC 8016 §3.2.2: a ticket that names another loop and was forged is refused at once', () => {
  const { machines, passed } = loops()
  const ticket = ticketIn(machines[0].client(HOME).allocate(mobile))
  const forged = ticket.with(25, ticket[25]! ^ 1)
  assert.equal(present(machines[1].client(AWAY), forged)?.code, 400)
  assert.equal(passed(machines[1]).length, 0)
})

test('a ticket of another relay with the same keys is passed to nobody', () => {
  const elsewhere = loops({}, RELAY + 1)
  const ticket = ticketIn(elsewhere.machines[0].client(HOME).allocate(mobile))
  const { machines, passed } = loops()
  assert.equal(present(machines[1].client(AWAY), ticket)?.code, 437)
  assert.equal(passed(machines[1]).length, 0)
})

test('nothing is passed on without credentials, or with a nonce that is not the sender’s', () => {
  const { machines, passed } = loops()
  const [first, second] = machines
  const home = first.client(HOME)
  const ticket = ticketIn(home.allocate(mobile))
  const attributes = (writer: StunWriter) => writer.addBytes(ATTRIBUTE.MobilityTicket, ticket)
  const away = second.client(AWAY)
  assert.equal(away.ask(METHOD.Refresh, { attributes })?.code, 401)
  assert.equal(away.ask(METHOD.Refresh, { attributes, user: USER, nonce: home.nonce })?.code, 438)
  assert.equal(passed(second).length, 0)
})

test('a client that has an allocation here is not given to another loop', () => {
  const { machines, passed } = loops()
  const ticket = ticketIn(machines[0].client(HOME).allocate(mobile))
  const away = machines[1].client(AWAY)
  away.allocate()
  assert.equal(present(away, ticket)?.code, 437)
  assert.equal(passed(machines[1]).length, 0)
})

test('one address cannot make the loops busy with what it asks of others', () => {
  const { machines, passed } = loops()
  const [first, second] = machines
  const ticket = ticketIn(first.client(HOME).allocate(mobile))
  const flooder = second.client(AWAY)
  for (let i = 0; i < 100; i++) present(flooder, ticket)
  assert.equal(passed(second).length, 20)
  assert.equal(second.server.counters.drops['loop-budget'], 80)
  present(second.client('203.0.113.200:1'), ticket)
  assert.equal(passed(second).length, 21)
})

test('RFC 6062 §5.4: a ConnectionBind is passed to the loop that its CONNECTION-ID names', () => {
  const { machines, answer } = loops({ peers: { tcp: true, allow: ['8.8.8.8'] } })
  const [first, second] = machines
  first.addLink(2, 'tcp', '192.0.2.1:3478', HOME)
  const control = first.client(HOME, 2)
  const success = control.request(METHOD.Allocate, (writer) =>
    writer.addFirstByte(ATTRIBUTE.RequestedTransport, 6),
  )
  control.permit(PEER)
  const relay = [...first.bound].find(([, { port }]) => success!.relayed![0]!.endsWith(`:${port}`))![0]
  first.server.handlePeerConnection(relay, address(PEER), first.now)
  const { connection } = first.drain().at(-1)!
  second.addLink(3, 'tcp', '192.0.2.1:3478', AWAY)
  first.addLink(3, 'tcp', '192.0.2.1:3478', AWAY)
  second
    .client(AWAY, 3)
    .request(METHOD.ConnectionBind, (writer) => writer.addUint32(ATTRIBUTE.ConnectionId, connection!))
  assert.equal(answer(second, 3)?.code, 0)
  assert.ok(first.kinds().includes('splice'))
})

test('a relay with one event loop passes nothing on', () => {
  const harness = new TurnHarness()
  const bytes = request(METHOD.Allocate, { user: USER })
  harness.fromClient(HOME, bytes)
  harness
    .client(HOME)
    .allocate((writer) => writer.addBytes(ATTRIBUTE.ReservationToken, new Uint8Array(8).fill(2)))
  assert.ok(!harness.kinds().includes('pass'))
})
