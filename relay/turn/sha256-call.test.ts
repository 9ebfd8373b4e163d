import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, EPOCH_SECONDS, REALM, TurnHarness, USER } from '../../test/support/turn-harness.ts'
import type { RelayConfigInput } from '../api/config.ts'
import type { ClientEvent } from '../client/contract.ts'
import { TurnClient } from '../client/turn-client.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { FEATURE, nonceCookie } from '../stun/nonce-cookie.ts'
import { StunReader } from '../stun/reader.ts'
import { StunWriter } from '../stun/writer.ts'

/** A relay that offers SHA-256. */
function offering(credentials: Partial<RelayConfigInput['credentials']> = {}): TurnHarness {
  return new TurnHarness({ credentials: { users: [USER], offerSha256: true, ...credentials } })
}

/** Lets a client of `relay/client` and the relay talk until both are silent. */
function converse(harness: TurnHarness, turn: TurnClient): ClientEvent[] {
  const from = '198.51.100.7:4000'
  for (let bytes = turn.nextTransmit(); bytes; bytes = turn.nextTransmit()) {
    harness.fromClient(from, bytes)
    for (const heard of harness.drain()) turn.handleData(heard.bytes, 0, heard.bytes.length, harness.now)
  }
  const events: ClientEvent[] = []
  for (let event = turn.nextEvent(); event; event = turn.nextEvent()) events.push(event)
  return events
}

const REST = `${EPOCH_SECONDS + 60}:carol`
const REST_PASSWORD = Buffer.from(
  nodeCrypto.hmacSha256(new TextEncoder().encode('s'), new TextEncoder().encode(REST)),
).toString('base64')
const CLIENTS: readonly [name: string, harness: () => TurnHarness, username: string, password: string][] = [
  ['a user with a hashed name', offering, USER.username, USER.password],
  ['a TURN REST name', () => offering({ keys: [{ id: 'k', secret: 's' }] }), REST, REST_PASSWORD],
]
for (const [name, make, username, password] of CLIENTS) {
  test(`a whole call with SHA-256 end to end by ${name}, past the expiry of nonce and credential`, () => {
    const harness = make()
    const turn = new TurnClient({ transport: 'udp', username, password, crypto: nodeCrypto })
    const kinds = () => converse(harness, turn).map(({ kind }) => kind)
    turn.allocate(harness.now, { lifetimeSeconds: 3600 })
    assert.deepEqual(kinds(), ['allocated'])
    turn.createPermission(harness.now, [address('8.8.8.8:5000')])
    turn.bindChannel(harness.now, 0x4000, address('8.8.8.8:5000'))
    assert.deepEqual(kinds(), ['permitted', 'bound'])
    harness.pass(3599)
    turn.refresh(harness.now, 3600)
    harness.pass(3)
    assert.deepEqual(kinds(), ['refreshed'])
    turn.refresh(harness.now, 0)
    assert.deepEqual(kinds(), ['closed'])
    const { responses } = harness.server.counters
    assert.deepEqual([responses.Allocate?.[401], responses.Refresh?.[438]], [1, 1])
  })
}

test('RFC 8489 §9.2.5: a client whose challenge lost PASSWORD-ALGORITHMS on the way does not answer it', () => {
  const turn = new TurnClient({ transport: 'udp', ...USER, crypto: nodeCrypto })
  turn.allocate(0)
  const first = turn.nextTransmit()!
  const asked = new StunReader()
  asked.read(first, 0, first.length)
  const stripped = new StunWriter()
    .startError(asked, 401)
    .addText(ATTRIBUTE.Realm, REALM)
    .addText(ATTRIBUTE.Nonce, `${nonceCookie(FEATURE.PasswordAlgorithms)}abc`)
    .finish()
  turn.handleData(stripped, 0, stripped.length, 0)
  assert.equal(turn.nextTransmit(), undefined)
  assert.equal(turn.nextEvent()?.kind, 'failed')
})
