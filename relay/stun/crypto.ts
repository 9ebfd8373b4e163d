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

/** What a server needs besides. */
export interface ServerCrypto extends StunCrypto {
  /**
   * Opens what AES-GCM sealed, its tag of 16 bytes at the end (RFC 5116 §5.1, §5.2): a key of 16 or 32 bytes, a
   * nonce of 12. Undefined where it is not authentic.
   */
  openAesGcm(
    key: Uint8Array,
    nonce: Uint8Array,
    associatedData: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined
}
