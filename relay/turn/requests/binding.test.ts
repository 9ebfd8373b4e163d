import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../../test/support/turn-harness.ts'
import { TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { METHOD } from '../../stun/methods.ts'
import type { StunWriter } from '../../stun/writer.ts'

const [CHANGE_REQUEST, PADDING, RESPONSE_PORT, ORIGIN] = [0x0003, 0x0026, 0x0027, 0x802f]

test('RFC 8489 §2: Binding tells the client its address, with no credentials', () => {
  const answer = new TurnHarness().client('198.51.100.7:4000').ask(METHOD.Binding)
  assert.deepEqual([answer?.code, answer?.mapped], [0, '198.51.100.7:4000'])
})

for (const [name, type] of [
  ['CHANGE-REQUEST', CHANGE_REQUEST],
  ['PADDING', PADDING],
  ['RESPONSE-PORT', RESPONSE_PORT],
] as const) {
  test(`RFC 5780 §6.1: ${name} is refused by a server with one address, and answers go to who asked`, () => {
    const answer = new TurnHarness().client().ask(METHOD.Binding, { attributes: (w) => w.addUint32(type, 6) })
    assert.deepEqual([answer?.code, answer?.unknown], [420, [type]])
  })
}

test('draft-ietf-tram-stun-origin: ORIGIN (0x802F), once or more, is accepted and changes nothing', () => {
  const origins = (writer: StunWriter) =>
    writer
      .addText(ORIGIN, 'https://example.org')
      .addText(ORIGIN, 'null')
      .addBytes(ORIGIN, new Uint8Array(300))
  const peer = new TransportAddress().set4(0x08080808, 5000)
  const toPeer = (writer: StunWriter) => origins(writer).addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
  const client = new TurnHarness().client()
  const answer = client.ask(METHOD.Binding, { attributes: origins })
  assert.deepEqual([answer?.code, answer?.mapped], [0, '198.51.100.7:4000'])
  assert.equal(client.ask(METHOD.Allocate, { attributes: origins })?.code, 401)
  assert.equal(client.allocate(origins)?.code, 0)
  assert.equal(client.request(METHOD.CreatePermission, toPeer)?.code, 0)
  assert.equal(client.request(METHOD.ChannelBind, (w) => toPeer(w).addChannelNumber(0x4000))?.code, 0)
  assert.equal(client.request(METHOD.Refresh, origins)?.code, 0)
})
