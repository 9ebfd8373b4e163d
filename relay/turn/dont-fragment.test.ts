import assert from 'node:assert/strict'
import { test } from 'node:test'
import { address, TurnHarness } from '../../test/support/turn-harness.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import { StunWriter } from '../stun/writer.ts'

const PEER = '8.8.8.8:5000'

for (const asked of [true, false]) {
  test(`RFC 8656 §7.2 step 4: relay sockets are bound with DF ${asked ? 'where DONT-FRAGMENT asks for it' : 'only where it is asked for'}`, () => {
    const harness = new TurnHarness({}, { dontFragment: true })
    let tried = 0
    harness.onBind = () => (++tried < 2 ? 'port-in-use' : undefined)
    const answer = harness.client().allocate((writer) => {
      writer.addFirstByte(ATTRIBUTE.AdditionalAddressFamily, 2)
      if (asked) writer.addFlag(ATTRIBUTE.DontFragment)
    })
    assert.equal(answer?.code, 0)
    const flags = harness.events.flatMap((event) => (event.kind === 'bind-relay' ? [event.dontFragment] : []))
    assert.deepEqual(flags, [asked, asked, asked], 'one was tried again')
  })
}

test('RFC 8656 §18.9: DONT-FRAGMENT with a value is malformed', () => {
  const harness = new TurnHarness({}, { dontFragment: true })
  assert.equal(harness.client().allocate((writer) => writer.addUint32(ATTRIBUTE.DontFragment, 0))?.code, 400)
})

for (const able of [true, false]) {
  test(`RFC 8656 §11.2: a Send indication with DONT-FRAGMENT is ${able ? 'relayed' : 'discarded'} where sockets ${able ? 'can' : 'cannot'} do that`, () => {
    const harness = new TurnHarness({}, { dontFragment: able })
    const client = harness.client()
    client.allocate()
    client.permit(PEER)
    const bytes = new StunWriter()
      .start(METHOD.Send, CLASS.Indication, new Uint8Array(12))
      .addXorAddress(ATTRIBUTE.XorPeerAddress, address(PEER))
      .addFlag(ATTRIBUTE.DontFragment)
      .addText(ATTRIBUTE.Data, 'five!')
      .finish()
    assert.equal(harness.fromClient(client.from, bytes)?.to, able ? PEER : undefined)
  })
}
