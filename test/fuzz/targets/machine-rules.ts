import assert from 'node:assert/strict'
import { TransportAddress } from '../../../relay/stun/address.ts'
import { formatAddress } from '../../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { readXorAddress } from '../../../relay/stun/attributes.ts'
import { METHOD } from '../../../relay/stun/methods.ts'
import type { StunReader } from '../../../relay/stun/reader.ts'
import type { ReferenceModel } from '../../simulation/reference-model.ts'
import { address } from '../../support/turn-harness.ts'
import { OWN } from './machine-settings.ts'

const OWN_ADDRESSES = OWN.map((ip) => address(ip.includes(':') ? `[${ip}]:1` : `${ip}:1`))

/** Two clients of the relay reach each other only where both let a relay address in. */
export function checkMeeting(model: ReferenceModel, client: string, other: string, now: number): void {
  const both = OWN_ADDRESSES.some((ip) => [client, other].every((one) => model.permits(one, ip, now)))
  assert.ok(both, `${client} and ${other} met without permissions`)
}

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
