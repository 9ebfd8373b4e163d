import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { addressesOf, attributeOf, decode, textOf } from '../support/stun-message.ts'
import { CAPTURED } from './captured.ts'
import { type BrowserPackets, FIREFOX, LIBWEBRTC } from './packets.ts'

/** The message of ours that a captured one must equal. */
function ours(packets: BrowserPackets, kind: string, bytes: Buffer): Buffer {
  const message = decode(bytes)!
  const id = bytes.subarray(8, 20)
  const nonce = textOf(message, ATTRIBUTE.Nonce)
  const who = { username: 'user', password: 'password', realm: 'turn.example.org', nonce }
  const peer = () => addressesOf(message, ATTRIBUTE.XorPeerAddress)[0]!
  switch (kind) {
    case 'allocate':
      return packets.allocate(id)
    case 'allocate with credentials':
      return packets.allocate(id, who)
    case 'create-permission':
      return packets.createPermission(id, who, peer())
    case 'channel-bind':
      return packets.channelBind(id, who, 0x4000, peer())
    case 'refresh to delete':
      return packets.refresh(id, who, 0)
    default:
      return packets.send(id, peer(), attributeOf(message, ATTRIBUTE.Data)!)
  }
}

for (const [packets, captured] of [
  [LIBWEBRTC, CAPTURED.chromium],
  [FIREFOX, CAPTURED.firefox],
] as const) {
  for (const [kind, hex] of Object.entries(captured)) {
    if (kind === 'binding') continue
    test(`${packets.name} sends its ${kind} as these tests do, byte for byte`, () => {
      assert.equal(ours(packets, kind, Buffer.from(hex, 'hex')).toString('hex'), hex)
    })
  }
}
