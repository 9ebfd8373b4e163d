import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TurnHarness } from '../../../test/support/turn-harness.ts'
import { METHOD } from '../../stun/methods.ts'

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

test('ORIGIN is accepted and changes nothing', () => {
  const attributes = (writer: { addText(type: number, text: string): unknown }) =>
    writer.addText(ORIGIN, 'https://example.org')
  const client = new TurnHarness().client()
  assert.equal(client.ask(METHOD.Binding, { attributes })?.code, 0)
  assert.equal(client.allocate(attributes)?.code, 0)
})
