import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { StunCrypto } from '../../relay/stun/crypto.ts'

/** The cryptography that probes hand to the TURN client. */
export const nodeCrypto: StunCrypto = {
  md5: (data) => hash('md5', data, 'buffer'),
  sha256: (data) => hash('sha256', data, 'buffer'),
  hmacSha1: (key, data) => createHmac('sha1', key).update(data).digest(),
  hmacSha256: (key, data) => createHmac('sha256', key).update(data).digest(),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  randomBytes: (length) => randomBytes(length),
}
