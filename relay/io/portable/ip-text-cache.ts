import type { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'

const SLOT_COUNT = 1024
const SLOTS: ({ address: TransportAddress; text: string } | undefined)[] = new Array(SLOT_COUNT)

/** The literal form of a destination: node:dgram wants text, and the same few are sent to again and again. */
export function cachedIpText(address: TransportAddress): string {
  const slot = slotOf(address)
  const kept = SLOTS[slot]
  if (kept?.address.sameIp(address)) return kept.text
  const text = formatIp(address)
  SLOTS[slot] = { address: address.clone(), text }
  return text
}

function slotOf({ w0, w1, w2, w3 }: TransportAddress): number {
  return Math.imul(w0 ^ w1 ^ w2 ^ w3, 0x9e3779b1) >>> 22
}
