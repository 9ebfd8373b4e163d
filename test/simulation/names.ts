import assert from 'node:assert/strict'
import type { TransportAddress } from '../../relay/stun/address.ts'
import { formatAddress, parseAddress } from '../../relay/stun/address-text.ts'

/** The addresses of the simulated relay. */
export const RELAY_IP = '203.0.113.10'
export const RELAY_IPV6 = '2001:db8::10'

/** An address from `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function at(text: string): TransportAddress {
  const colon = text.lastIndexOf(':')
  const ip = text.slice(0, colon).replace(/^\[|\]$/g, '')
  const address = parseAddress(ip, Number(text.slice(colon + 1)))
  assert.ok(address, text)
  return address
}

/** A 5-tuple as text. */
export function key(link: number, client: TransportAddress): string {
  return `${link}/${formatAddress(client)}`
}

/** What quotas are counted by: the part of a TURN REST username after its expiry. */
export function userOf(username: string): string {
  return username.slice(username.indexOf(':') + 1)
}
