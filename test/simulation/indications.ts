import assert from 'node:assert/strict'
import { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { readXorAddress } from '../../relay/stun/attributes.ts'
import { METHOD } from '../../relay/stun/methods.ts'
import type { StunReader } from '../../relay/stun/reader.ts'
import type { ReferenceModel } from './reference-model.ts'

/** An indication tells of an ICMP error (RFC 8656 §11.5) or of a connection (RFC 6062 §5.3) of a permitted peer only. */
export function checkIndication(
  model: ReferenceModel,
  reader: StunReader,
  client: string,
  now: number,
): void {
  const peer = new TransportAddress()
  if (reader.method !== METHOD.ConnectionAttempt) {
    assert.equal(reader.method, METHOD.Data)
    assert.ok(reader.has(ATTRIBUTE.Icmp) && !reader.has(ATTRIBUTE.Data))
  }
  assert.ok(readXorAddress(reader, reader.find(ATTRIBUTE.XorPeerAddress), peer))
  assert.ok(model.permits(client, peer, now), `word of ${formatAddress(peer)} got in`)
}
