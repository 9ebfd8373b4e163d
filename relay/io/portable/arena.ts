import { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../turn/contract.ts'

/** The largest UDP payload and the largest stream frame: 65,535 of ChannelData with header and padding. */
const MAX_PACKET_BYTES = 65_540

/**
 * The one buffer that every received packet is copied into, since node:dgram hands out buffers without head
 * room. It is handed back to the kernel by reference when a send has to wait, and then a new one takes its place.
 */
export class Arena {
  bytes = new Uint8Array(HEAD_ROOM_BYTES + MAX_PACKET_BYTES + TAIL_ROOM_BYTES)

  /** Copies a packet behind the head room; false where it is too large. */
  fill(packet: Uint8Array): boolean {
    if (packet.length > MAX_PACKET_BYTES) return false
    this.bytes.set(packet, HEAD_ROOM_BYTES)
    return true
  }

  renew(): void {
    this.bytes = new Uint8Array(this.bytes.length)
  }
}
