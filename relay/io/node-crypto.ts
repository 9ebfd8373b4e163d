import { createDecipheriv, hash, randomBytes, randomFillSync, timingSafeEqual } from 'node:crypto'
import type { ServerCrypto } from '../stun/crypto.ts'

/** Input block of SHA-1 and SHA-256 in bytes. */
const BLOCK_BYTES = 64
/** Data up to this length is hashed without allocating a buffer for it. */
const SCRATCH_BYTES = 4096
const GCM_TAG_BYTES = 16
/** Random bytes that are fetched at once: most of what asking for some costs does not depend on how many. */
const RANDOM_POOL_BYTES = 4096

const inner = new Uint8Array(BLOCK_BYTES + SCRATCH_BYTES)
const outer = { sha1: new Uint8Array(BLOCK_BYTES + 20), sha256: new Uint8Array(BLOCK_BYTES + 32) }
const randomPool = new Uint8Array(RANDOM_POOL_BYTES)
let randomTaken = RANDOM_POOL_BYTES

/** The relay's cryptography: Node's OpenSSL. */
export const nodeCrypto: ServerCrypto = {
  md5: (data) => hash('md5', data, 'buffer'),
  sha256: (data) => hash('sha256', data, 'buffer'),
  hmacSha1: (key, data) => hmac('sha1', key, data),
  hmacSha256: (key, data) => hmac('sha256', key, data),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  randomBytes: takeRandom,
  openAesGcm,
}

/**
 * HMAC (RFC 2104) by two one-shot hashes: a tenth of the CPU time of `createHmac`, which builds a stream. Their
 * results are taken as text, since a Buffer costs more than the hash that it holds.
 */
function hmac(algorithm: 'sha1' | 'sha256', key: Uint8Array, data: Uint8Array): Uint8Array {
  const block = key.length > BLOCK_BYTES ? hash(algorithm, key, 'buffer') : key
  const input = data.length > SCRATCH_BYTES ? new Uint8Array(BLOCK_BYTES + data.length) : inner
  const output = outer[algorithm]
  for (let i = 0; i < BLOCK_BYTES; i++) {
    const byte = i < block.length ? block[i]! : 0
    input[i] = byte ^ 0x36
    output[i] = byte ^ 0x5c
  }
  input.set(data, BLOCK_BYTES)
  write(hash(algorithm, input.subarray(0, BLOCK_BYTES + data.length), 'binary'), output, BLOCK_BYTES)
  return write(hash(algorithm, output, 'binary'), new Uint8Array(output.length - BLOCK_BYTES), 0)
}

function openAesGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  associatedData: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const end = sealed.length - GCM_TAG_BYTES
  if (end < 0) return undefined
  const cipher = key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm'
  const decipher = createDecipheriv(cipher, key, nonce, { authTagLength: GCM_TAG_BYTES })
  decipher.setAAD(associatedData).setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(0, end))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plain
}

/** Writes text of one byte a character. */
function write(text: string, into: Uint8Array, at: number): Uint8Array {
  for (let i = 0; i < text.length; i++) into[at + i] = text.charCodeAt(i)
  return into
}

/** Bytes of the pool, each handed out once and forgotten there. */
function takeRandom(length: number): Uint8Array {
  if (length > RANDOM_POOL_BYTES) return randomBytes(length)
  if (randomTaken + length > RANDOM_POOL_BYTES) {
    randomFillSync(randomPool)
    randomTaken = 0
  }
  const taken = randomPool.slice(randomTaken, randomTaken + length)
  randomPool.fill(0, randomTaken, randomTaken + length)
  randomTaken += length
  return taken
}
