import type { SharedKey } from './credentials-config.ts'

/** What the key is made for: no other use of the shared secret gives the same bytes. */
const PURPOSE = 'turnfleet realm '
const ENCODER = new TextEncoder()

export interface RealmKeyMeans {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
}

/**
 * The key of a further realm, made of one of the fleet's ring: whoever has it can make credentials of that realm
 * and of no other one, and it changes with the ring.
 */
export function realmKey(means: RealmKeyMeans, { id, secret }: SharedKey, realm: string): SharedKey {
  const bytes = means.hmacSha256(ENCODER.encode(secret), ENCODER.encode(PURPOSE + realm))
  return { id, secret: btoa(String.fromCharCode(...bytes)) }
}
