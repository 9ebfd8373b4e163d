import { createCipheriv, randomBytes } from 'node:crypto'

/** What an authorization server puts into a token (RFC 7635 §6.2); a field that is left out is right. */
export interface TokenParts {
  readonly key: Uint8Array
  readonly serverName: string
  readonly macKey: Uint8Array
  readonly timestampSeconds: number
  readonly lifetimeSeconds: number
  readonly nonce?: Uint8Array
  /** What the block says of its key's length. */
  readonly macKeyLength?: number
}

/** Makes an ACCESS-TOKEN as an authorization server does. */
export function sealAccessToken(parts: TokenParts): Uint8Array {
  const { key, serverName, macKey, timestampSeconds, lifetimeSeconds, nonce = randomBytes(12) } = parts
  const block = Buffer.alloc(2 + macKey.length + 12)
  block.writeUInt16BE(parts.macKeyLength ?? macKey.length)
  block.set(macKey, 2)
  block.writeBigUInt64BE(BigInt(Math.floor(timestampSeconds)) << 16n, 2 + macKey.length)
  block.writeUInt32BE(lifetimeSeconds, 10 + macKey.length)
  const cipher = createCipheriv(key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(serverName))
  const sealed = Buffer.concat([cipher.update(block), cipher.final()])
  const length = Buffer.alloc(2)
  length.writeUInt16BE(nonce.length)
  return new Uint8Array(Buffer.concat([length, nonce, sealed, cipher.getAuthTag()]))
}
