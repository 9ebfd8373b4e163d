import { hkdfSync } from 'node:crypto'

const PURPOSE = 'turnfleet TLS session tickets'

/** The key that session tickets are sealed with: the same on every relay that has the secret, and good for nothing else. */
export function ticketKey(secret: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', PURPOSE, bytes))
}
