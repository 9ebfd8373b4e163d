import { type Forward, HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../../relay/turn/contract.ts'

const PACKET_BYTES_MAX = 2048

/** The one buffer that a server in the simulation gets its packets in. */
export class PacketBuffer {
  readonly bytes = new Uint8Array(HEAD_ROOM_BYTES + PACKET_BYTES_MAX + TAIL_ROOM_BYTES)

  /** Puts a packet behind the head room, noise around it; returns its length. */
  fill(packet: Uint8Array): number {
    this.bytes.fill(0xee)
    this.bytes.set(packet, HEAD_ROOM_BYTES)
    return packet.length
  }

  /** A copy of what is to go on. */
  taken({ offset, length }: Forward): Uint8Array {
    return this.bytes.slice(offset, offset + length)
  }
}
