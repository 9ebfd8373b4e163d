import assert from 'node:assert/strict'
import type { TransportAddress } from '../../../relay/stun/address.ts'
import { formatAddress } from '../../../relay/stun/address-text.ts'
import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../../relay/turn/contract.ts'

/** The name of a 5-tuple. */
export function key(link: number, client: TransportAddress): string {
  return `${link}/${formatAddress(client)}`
}

/** A packet as the I/O layer hands it over, something behind its rooms, and a copy of all of it. */
export function withRooms(bytes: Uint8Array): { buffer: Uint8Array; before: Uint8Array } {
  const buffer = new Uint8Array(HEAD_ROOM_BYTES + bytes.length + TAIL_ROOM_BYTES + 8).fill(0xee)
  buffer.set(bytes, HEAD_ROOM_BYTES)
  return { buffer, before: buffer.slice() }
}

/** Nothing behind the tail room was written. */
export function checkOutside(buffer: Uint8Array, before: Uint8Array, length: number): void {
  const end = HEAD_ROOM_BYTES + length + TAIL_ROOM_BYTES
  assert.deepEqual(buffer.subarray(end), before.subarray(end), 'the rooms were overrun')
}
