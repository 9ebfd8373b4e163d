import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Client,
  type Heard,
  OTHER_USER,
  type RequestOptions,
  relayConfigFor,
  TurnHarness,
} from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { METHOD } from '../stun/methods.ts'
import { StunReader } from '../stun/reader.ts'
import type { StunWriter } from '../stun/writer.ts'
import { turnServerConfig } from './server-config.ts'

const PEER = '8.8.8.8:5000'
const [HOME, AWAY, FAR] = ['198.51.100.7:4000', '203.0.113.9:9999', '203.0.113.77:7']

const wish = (writer: StunWriter) => writer.addFlag(ATTRIBUTE.MobilityTicket)

function ticketIn(heard: Heard | undefined): Uint8Array | undefined {
  assert.ok(heard)
  const reader = new StunReader()
  reader.read(heard.bytes, 0, heard.bytes.length)
  const index = reader.find(ATTRIBUTE.MobilityTicket)
  return index < 0 ? undefined : reader.value(index).slice()
}

/** A mobile client in a call: a channel to PEER. */
function calling(input: Partial<RelayConfigInput> = {}) {
  const harness = new TurnHarness({ mobility: true, ...input })
  const client = harness.client(HOME)
  const success = client.allocate(wish)
  client.bind(0x4000, PEER)
  return { harness, client, relayed: success!.relayed![0]!, ticket: ticketIn(success)! }
}

function present(client: Client, ticket: Uint8Array, options: RequestOptions & { lifetime?: number } = {}) {
  return client.request(
    METHOD.Refresh,
    (writer) => {
      writer.addBytes(ATTRIBUTE.MobilityTicket, ticket)
      if (options.lifetime !== undefined) writer.addUint32(ATTRIBUTE.Lifetime, options.lifetime)
    },
    options,
  )
}

const heardAt = (harness: TurnHarness, relayed: string) => harness.fromPeer(relayed, PEER, 'x')?.to

test('RFC 8016 §3.2.2: a client moves: heard at both addresses, answered at the old one until it sends data from the new', () => {
  const { harness, client, relayed, ticket } = calling()
  const away = harness.client(AWAY)
  const success = present(away, ticket)
  assert.deepEqual([success?.code, success?.lifetime], [0, 600])
  assert.notDeepEqual(ticketIn(success), ticket)
  assert.equal(client.channelData(0x4000, 'old')?.to, PEER)
  assert.equal(heardAt(harness, relayed), HOME)
  assert.equal(away.channelData(0x4000, 'new')?.to, PEER, 'its channel goes on')
  assert.equal(heardAt(harness, relayed), AWAY)
  assert.equal(client.channelData(0x4000, 'old'), undefined, 'the old address is forgotten')
  assert.equal(client.refresh()?.code, 437)
  assert.equal(away.refresh()?.code, 0)
  assert.equal(harness.server.allocationCount, 1)
})

test('RFC 8016 §3.2.2: a Send indication from the new address makes the move too', () => {
  const { harness, relayed, ticket } = calling()
  const away = harness.client(AWAY)
  present(away, ticket)
  assert.equal(away.send(PEER, 'x')?.to, PEER)
  assert.equal(heardAt(harness, relayed), AWAY)
})

test('RFC 8016 §3.2.2: a retransmission with the old ticket gets the same new one, before and after the move', () => {
  const { harness, ticket } = calling()
  const away = harness.client(AWAY)
  const second = ticketIn(present(away, ticket))
  assert.deepEqual(ticketIn(present(away, ticket)), second)
  away.channelData(0x4000, 'x')
  assert.deepEqual(ticketIn(present(away, ticket)), second)
  assert.equal(present(harness.client(FAR), ticket)?.code, 400, 'but moves nobody again')
})

test('RFC 8016 §3.2: the next move takes the next ticket, also before the first one is complete', () => {
  const { harness, relayed, ticket } = calling()
  const second = ticketIn(present(harness.client(AWAY), ticket))!
  const far = harness.client(FAR)
  assert.equal(present(far, second)?.code, 0)
  assert.equal(harness.client(AWAY).channelData(0x4000, 'x'), undefined)
  assert.equal(far.channelData(0x4000, 'x')?.to, PEER)
  assert.equal(heardAt(harness, relayed), FAR)
  assert.equal(present(harness.client(AWAY), second)?.code, 400)
})

const REFUSED: readonly [
  name: string,
  act: (call: ReturnType<typeof calling>) => Heard | undefined,
  code: number,
][] = [
  ['from the address that it is at', ({ client, ticket }) => present(client, ticket), 400],
  ['empty', ({ harness }) => present(harness.client(AWAY), new Uint8Array(0)), 400],
  ['cut short', ({ harness, ticket }) => present(harness.client(AWAY), ticket.subarray(0, 31)), 400],
  ['forged', ({ harness, ticket }) => present(harness.client(AWAY), ticket.with(20, ticket[20]! ^ 1)), 400],
  [
    'with another MAC',
    ({ harness, ticket }) => present(harness.client(AWAY), ticket.with(0, ticket[0]! ^ 1)),
    400,
  ],
  [
    'of another user',
    ({ harness, ticket }) => present(harness.client(AWAY), ticket, { user: OTHER_USER }),
    441,
  ],
  [
    'with a wrong password',
    ({ harness, ticket }) =>
      present(harness.client(AWAY), ticket, { user: { username: 'alice', password: 'x' } }),
    401,
  ],
  [
    'of an allocation that has ended',
    ({ harness, client, ticket }) => {
      client.refresh(0)
      return present(harness.client(AWAY), ticket)
    },
    437,
  ],
  ['of another relay of the fleet', ({ harness }) => present(harness.client(AWAY), calling().ticket), 437],
  [
    'of a fleet with other keys',
    ({ harness }) =>
      present(harness.client(AWAY), calling({ nonceKeys: [{ id: 'x', secret: 'other' }] }).ticket),
    400,
  ],
  [
    'at an address that has an allocation',
    ({ harness, ticket }) => {
      const away = harness.client(AWAY)
      away.allocate()
      return present(away, ticket)
    },
    437,
  ],
  [
    'after mobility was turned off',
    ({ harness, ticket }) => {
      harness.server.updateConfig(turnServerConfig(relayConfigFor({ mobility: false })))
      return present(harness.client(AWAY), ticket)
    },
    405,
  ],
]
for (const [name, act, code] of REFUSED) {
  test(`RFC 8016 §3.2.2: a ticket is refused with ${code}: ${name}; the call goes on where it was`, () => {
    const call = calling()
    assert.equal(act(call)?.code, code)
    assert.equal(call.harness.client(AWAY).channelData(0x4000, 'x'), undefined)
    const { relayed, harness } = call
    if (code !== 437 || harness.server.allocationCount > 1) assert.equal(heardAt(harness, relayed), HOME)
  })
}

test('a replayed Refresh from a third address moves nothing: its nonce is another address’s', () => {
  const { harness, client, relayed, ticket } = calling()
  const thief = harness.client(FAR)
  thief.nonce = client.nonce
  assert.equal(present(thief, ticket)?.code, 438)
  assert.equal(thief.channelData(0x4000, 'x'), undefined)
  assert.equal(heardAt(harness, relayed), HOME)
})

const ALLOCATES: readonly [name: string, mobility: boolean, value: number, code: number][] = [
  ['an empty ticket', true, 0, 0],
  ['an empty ticket where mobility is off', false, 0, 405],
  ['a ticket that is not empty', true, 4, 400],
]
for (const [name, mobility, bytes, code] of ALLOCATES) {
  test(`RFC 8016 §3.1.2: Allocate with ${name}: ${code || 'success'}`, () => {
    const client = new TurnHarness({ mobility }).client()
    const answer = client.allocate((w) => w.addBytes(ATTRIBUTE.MobilityTicket, new Uint8Array(bytes)))
    assert.equal(answer?.code, code)
    assert.equal(ticketIn(answer) !== undefined, code === 0)
  })
}

test('RFC 8016 §3.1.2: a client that does not ask for a ticket gets none', () => {
  assert.equal(ticketIn(new TurnHarness({ mobility: true }).client().allocate()), undefined)
})

test('the quota of a user is not evaded by moving away from an address', () => {
  const { harness, client, ticket } = calling({ limits: { allocationsPerUser: 1 } })
  const away = harness.client(AWAY)
  present(away, ticket)
  away.channelData(0x4000, 'x')
  assert.equal(client.allocate(wish)?.code, 486)
  away.refresh(0)
  assert.equal(client.allocate(wish)?.code, 0)
})

test('1000 moves hold no more than one, and all is given back at the end', () => {
  const { harness, ticket } = calling()
  let next = ticket
  for (let i = 0; i < 1000; i++) {
    harness.now += 10
    next = ticketIn(present(harness.client(`203.0.113.9:${i + 1}`), next))!
  }
  assert.equal(harness.server.allocationCount, 1)
  const last = harness.client('203.0.113.9:1000')
  last.channelData(0x4000, 'x')
  assert.equal(last.refresh(0)?.code, 0)
  assert.equal(harness.server.allocationCount, 0)
  for (const from of [HOME, '203.0.113.9:999', '203.0.113.9:1000']) {
    assert.equal(harness.client(from).refresh()?.code, 437)
  }
})

test('a client moves from UDP to a stream, which is in use from then on, and the stream’s end is its end', () => {
  const { harness, relayed, ticket } = calling()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', AWAY)
  const away = harness.client(AWAY, 2)
  assert.equal(present(away, ticket)?.code, 0)
  away.channelData(0x4000, 'x')
  harness.drain()
  const uses = harness.events.flatMap((e) => (e.kind === 'link-in-use' ? [[e.link, e.inUse]] : []))
  assert.deepEqual(uses, [
    [2, true],
    [1, false],
  ])
  assert.equal(harness.fromPeer(relayed, PEER, 'x')?.socket, 2)
  harness.server.removeLink(2, harness.now)
  assert.equal(harness.server.allocationCount, 0)
})

test('RFC 8016 §3.2.2: when the old connection closes, the client is where it was moving to', () => {
  const harness = new TurnHarness({ mobility: true })
  harness.addLink(2, 'tcp', '192.0.2.1:3478', HOME)
  const client = harness.client(HOME, 2)
  const success = client.allocate(wish)
  client.permit(PEER)
  present(harness.client(AWAY), ticketIn(success)!)
  harness.server.removeLink(2, harness.now)
  assert.equal(heardAt(harness, success!.relayed![0]!), AWAY)
})

test('a stream that closes while its client was moving to it leaves the call where it was', () => {
  const { harness, relayed, ticket } = calling()
  harness.addLink(2, 'tcp', '192.0.2.1:3478', AWAY)
  present(harness.client(AWAY, 2), ticket)
  harness.server.removeLink(2, harness.now)
  assert.equal(harness.server.allocationCount, 1)
  assert.equal(heardAt(harness, relayed), HOME)
})

test('Refresh with a ticket and a lifetime of zero ends the allocation', () => {
  const { harness, ticket } = calling()
  const answer = present(harness.client(AWAY), ticket, { lifetime: 0 })
  assert.deepEqual([answer?.code, answer?.lifetime, ticketIn(answer)], [0, 0, undefined])
  assert.equal(harness.server.allocationCount, 0)
})
