/**
 * The cryptography that the pure layers need, handed in by their caller so that they import none.
 * `relay/io/node-crypto.ts` is the one implementation; results are fresh buffers that the caller may keep.
 */
export interface StunCrypto {
  md5(data: Uint8Array): Uint8Array
  sha256(data: Uint8Array): Uint8Array
  hmacSha1(key: Uint8Array, data: Uint8Array): Uint8Array
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
  /** Constant-time comparison; false when the lengths differ. */
  equal(a: Uint8Array, b: Uint8Array): boolean
  /** `length` bytes from a cryptographically secure source. */
  randomBytes(length: number): Uint8Array
}
