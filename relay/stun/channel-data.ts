import { readUint16, writeUint16 } from './wire.ts'

/** Bytes of a ChannelData header (RFC 8656 §12.4). */
export const CHANNEL_HEADER_BYTES = 4
/** First and last channel number (RFC 8656 §12). */
export const CHANNEL_NUMBER_MIN = 0x4000
const CHANNEL_NUMBER_MAX = 0x4fff

/** Whether a first byte starts ChannelData rather than STUN (RFC 8656 §12: 64 to 79). */
export function isChannelDataByte(firstByte: number): boolean {
  return firstByte >= 0x40 && firstByte <= 0x4f
}

/** Whether a number may name a channel (RFC 8656 §12). */
export function isChannelNumber(number: number): boolean {
  return number >= CHANNEL_NUMBER_MIN && number <= CHANNEL_NUMBER_MAX
}

/** The channel number of the ChannelData at `offset`. */
export function channelNumber(buffer: Uint8Array, offset: number): number {
  return readUint16(buffer, offset)
}

/**
 * The payload length of the ChannelData in `buffer[offset, offset + length)`, or -1 when the header claims
 * more than is there. Bytes behind the payload are padding, which UDP senders may add too (RFC 8656 §12.5).
 */
export function channelPayloadLength(buffer: Uint8Array, offset: number, length: number): number {
  if (length < CHANNEL_HEADER_BYTES) return -1
  const payload = readUint16(buffer, offset + 2)
  return payload <= length - CHANNEL_HEADER_BYTES ? payload : -1
}

/** Writes a ChannelData header at `offset`; the payload follows it. */
export function writeChannelHeader(
  buffer: Uint8Array,
  offset: number,
  channel: number,
  payloadBytes: number,
): void {
  writeUint16(buffer, offset, channel)
  writeUint16(buffer, offset + 2, payloadBytes)
}
