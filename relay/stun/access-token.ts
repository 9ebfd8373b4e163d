import { readUint16, readUint32 } from './wire.ts'

/** Lengths of AES-GCM (RFC 5116 §5.1): the only nonce it takes, and its tag. */
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Keys that HMAC-SHA1 asks for, up to those that an HMAC takes as they are (RFC 7635 §6.2). */
const MAC_KEY_BYTES_MIN = 20
const MAC_KEY_BYTES_MAX = 64
const LENGTH_BYTES = 2
/** Timestamp and lifetime. */
const TIMES_BYTES = 12
const SEALED_OVERHEAD_BYTES = LENGTH_BYTES + TIMES_BYTES + TAG_BYTES
const FRACTIONS_PER_SECOND = 64_000
/** 2^16: the seconds above the low 32 bits of the timestamp are the high ones times this. */
const SECONDS_PER_HIGH_WORD = 65_536

/** The two parts of an ACCESS-TOKEN that are in the clear. */
export interface SealedToken {
  readonly nonce: Uint8Array
  readonly sealed: Uint8Array
}

/** What an ACCESS-TOKEN says once it is open (RFC 7635 §6.2). */
export interface AccessToken {
  /** The key of the message integrity. */
  readonly macKey: Uint8Array
  /** When it was issued, Unix time. */
  readonly timestampSeconds: number
  readonly lifetimeSeconds: number
}

/** Splits an ACCESS-TOKEN; undefined where a length is none that AES-GCM and the block inside can have. */
export function splitAccessToken(token: Uint8Array): SealedToken | undefined {
  const sealedBytes = token.length - LENGTH_BYTES - NONCE_BYTES
  if (sealedBytes < SEALED_OVERHEAD_BYTES + MAC_KEY_BYTES_MIN) return undefined
  if (sealedBytes > SEALED_OVERHEAD_BYTES + MAC_KEY_BYTES_MAX) return undefined
  if (readUint16(token, 0) !== NONCE_BYTES) return undefined
  return {
    nonce: token.subarray(LENGTH_BYTES, LENGTH_BYTES + NONCE_BYTES),
    sealed: token.subarray(LENGTH_BYTES + NONCE_BYTES),
  }
}

/** Reads the opened block of a token; undefined where its lengths do not add up. */
export function readAccessToken(block: Uint8Array): AccessToken | undefined {
  const macKeyBytes = block.length - LENGTH_BYTES - TIMES_BYTES
  if (macKeyBytes < MAC_KEY_BYTES_MIN || macKeyBytes > MAC_KEY_BYTES_MAX) return undefined
  if (readUint16(block, 0) !== macKeyBytes) return undefined
  const at = LENGTH_BYTES + macKeyBytes
  const low = readUint32(block, at + 4)
  const seconds = readUint32(block, at) * SECONDS_PER_HIGH_WORD + (low >>> 16)
  return {
    macKey: new Uint8Array(block.subarray(LENGTH_BYTES, at)),
    timestampSeconds: seconds + (low & 0xffff) / FRACTIONS_PER_SECOND,
    lifetimeSeconds: readUint32(block, at + 8),
  }
}
