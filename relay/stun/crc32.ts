const TABLE = buildTable()

/** CRC-32 (ITU V.42) of `buffer[offset, end)`, unsigned, as FINGERPRINT uses it (RFC 8489 §14.7). */
export function crc32(buffer: Uint8Array, offset: number, end: number): number {
  let crc = 0xffffffff
  for (let i = offset; i < end; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ buffer[i]!) & 0xff]!
  return ~crc >>> 0
}

function buildTable(): Uint32Array {
  const table = new Uint32Array(256)
  for (let i = 0; i < 256; i++) {
    let value = i
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
    table[i] = value
  }
  return table
}
