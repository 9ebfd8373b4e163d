import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import type { StunWriter } from '../../stun/writer.ts'
import type { Allocation } from '../allocation.ts'
import type { TurnCore } from '../core.ts'
import { writeTicket } from '../mobility.ts'
import { familyCode } from './address-family.ts'

/** The attributes of an Allocate success response (RFC 8656 §7.2). */
export function writeAllocateSuccess(
  core: TurnCore,
  writer: StunWriter,
  allocation: Allocation,
  now: number,
): void {
  for (const { relayed } of allocation.relays) writer.addXorAddress(ATTRIBUTE.XorRelayedAddress, relayed)
  const expiresAt = Math.min(...allocation.relays.map((relay) => relay.expiresAt))
  writer.addUint32(ATTRIBUTE.Lifetime, Math.max(0, Math.ceil((expiresAt - now) / 1000)))
  writer.addXorAddress(ATTRIBUTE.XorMappedAddress, allocation.client)
  if (allocation.reservationToken) writer.addBytes(ATTRIBUTE.ReservationToken, allocation.reservationToken)
  writeTicket(core, writer, allocation)
  const { addressError } = allocation
  if (addressError) writer.addAddressErrorCode(familyCode(addressError.family), addressError.code)
}
