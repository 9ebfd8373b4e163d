/** A copy of `buffer[offset, offset + length)`: `slice` would be a view where the buffer is a Buffer. */
export function copyOf(buffer: Uint8Array, offset: number, length: number): Uint8Array {
  const copy = Buffer.allocUnsafe(length)
  copy.set(buffer.subarray(offset, offset + length))
  return copy
}
