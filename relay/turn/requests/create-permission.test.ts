import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../../test/support/turn-harness.ts'
import { formatAddress } from '../../stun/address-text.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'

function allocated(input: ConstructorParameters<typeof TurnHarness>[0] = {}) {
  const harness = new TurnHarness(input)
  const client = harness.client()
  const relayed = client.allocate()!.relayed![0]!
  return { harness, client, relayed }
}

const CASES: readonly [name: string, peers: string[], code: number][] = [
  ['a public peer', ['8.8.8.8:0'], 0],
  ['several peers', ['8.8.8.8:1', '9.9.9.9:1', '1.1.1.1:1'], 0],
  ['a private peer', ['10.0.0.1:5000'], 403],
  ['one forbidden peer among others', ['8.8.8.8:1', '10.0.0.1:1', '9.9.9.9:1'], 403],
  ['the relay’s own listener', ['127.0.0.1:9641'], 403],
  ['a public peer of another family', ['[2600::1]:1'], 443],
  ['a mixed list of families', ['8.8.8.8:1', '[2600::1]:1'], 443],
  ['a forbidden peer of another family: Firefox takes only 403', ['[::1]:1'], 403],
  ['a forbidden peer and one of another family', ['[2600::1]:1', '10.0.0.1:1'], 403],
  ['no peer', [], 400],
]
for (const [name, peers, code] of CASES) {
  test(`RFC 8656 §10.2: ${name}: ${code || 'success'}, all or nothing`, () => {
    const { harness, client } = allocated()
    assert.equal(client.permit(...peers)?.code, code)
    assert.equal(harness.server.permissionCount, code === 0 ? peers.length : 0)
  })
}

test('RFC 8656 §10.2: a malformed address is answered 400', () => {
  const { client } = allocated()
  const answer = client.request(METHOD.CreatePermission, (writer) => {
    writer.addBytes(ATTRIBUTE.XorPeerAddress, new Uint8Array([0, 3, 0, 1, 1, 2, 3, 4]))
  })
  assert.equal(answer?.code, 400)
})

test('RFC 8656 §9: a permission is for an address at any port, both ways', () => {
  const { harness, client, relayed } = allocated()
  client.permit('8.8.8.8:1')
  assert.equal(client.send('8.8.8.8:5000', 'x')?.to, '8.8.8.8:5000')
  assert.equal(client.send('8.8.4.4:5000', 'x'), undefined)
  assert.equal(harness.fromPeer(relayed, '8.8.8.8:6000', 'x')?.target, 'client')
  assert.equal(harness.fromPeer(relayed, '8.8.4.4:6000', 'x'), undefined)
})

test('RFC 8656 §9: a permission lasts 300 seconds; data does not prolong it, CreatePermission does', () => {
  const { harness, client } = allocated()
  client.permit('8.8.8.8:1')
  harness.pass(299)
  assert.ok(client.send('8.8.8.8:5000', 'x'))
  client.permit('8.8.8.8:1')
  harness.pass(299)
  assert.ok(client.send('8.8.8.8:5000', 'x'))
  harness.pass(2)
  assert.equal(client.send('8.8.8.8:5000', 'x'), undefined)
  assert.equal(harness.server.permissionCount, 0)
})

test('RFC 8656 §10.2: over the limit of permissions is answered 508 and installs none; refreshing is not', () => {
  const { harness, client } = allocated({ limits: { permissionsPerAllocation: 2 } })
  assert.equal(client.permit('8.8.8.8:1')?.code, 0)
  assert.equal(client.permit('8.8.8.8:1', '9.9.9.9:1', '1.1.1.1:1')?.code, 508)
  assert.equal(harness.server.permissionCount, 1)
  assert.equal(client.permit('8.8.8.8:1', '9.9.9.9:1', '9.9.9.9:2')?.code, 0)
  assert.equal(client.permit('9.9.9.9:1')?.code, 0)
})

test('new peers above the rate are answered 403, which Firefox puts up with; known ones go on, and time brings new ones', () => {
  const { harness, client } = allocated({ limits: { newPeersPerSecondPerAllocation: 1 } })
  const peers = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => `8.8.${from}.${i + 1}:5000`)
  assert.equal(client.permit(...peers(1, 8))?.code, 0)
  assert.equal(client.permit(...peers(2, 3))?.code, 403)
  assert.equal(client.permit(...peers(2, 1))?.code, 0)
  assert.equal(client.bind(0x4000, '8.8.3.1:5000')?.code, 0)
  assert.equal(client.bind(0x4001, '8.8.3.2:5000')?.code, 403)
  assert.equal(client.permit(...peers(1, 8), '10.0.0.1:1')?.code, 403)
  assert.equal(client.permit(...peers(1, 8))?.code, 0)
  assert.equal(client.bind(0x4001, '8.8.1.1:5000')?.code, 0)
  assert.equal(harness.server.permissionCount, 10)
  assert.equal(harness.server.counters.refusals['new-peer-rate'], 2)
  harness.pass(2)
  assert.equal(client.permit(...peers(4, 2))?.code, 0)
  assert.equal(client.permit(...peers(5, 1))?.code, 403)
})

test('a 403 names the peer, the rule and its network to the log, and counts the rule', () => {
  const { harness, client } = allocated()
  client.permit('8.8.8.8:1', '10.1.2.3:5000')
  client.bind(0x4000, '8.8.8.8:53')
  const refused = harness.events.flatMap((event) => (event.kind === 'refused' ? [event] : []))
  assert.deepEqual(
    refused.map(({ reason, user, peer }) => [
      reason,
      user,
      peer && formatAddress(peer.address),
      peer?.rule,
      peer?.network,
    ]),
    [
      ['peer-special', 'alice', '10.1.2.3:5000', 'private-use', '10.0.0.0/8'],
      ['peer-port', 'alice', '8.8.8.8:53', 'port', undefined],
    ],
  )
  const { peerRules } = harness.server.counters
  assert.deepEqual([peerRules['private-use'], peerRules.port, peerRules.loopback], [1, 1, 0])
})
