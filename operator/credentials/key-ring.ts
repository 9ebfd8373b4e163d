import { type KeyRingFile, keyRingFile } from '../../relay/api/credentials-config.ts'
import type { KeyRing } from '../controller/contract.ts'

/** Bytes of a generated key. */
const KEY_BYTES = 32

/** A new key ring; `randomBytes` is a cryptographically secure source. */
export function generateKeyRing(randomBytes: (length: number) => Uint8Array): KeyRing {
  return {
    keys: [{ id: `k-${hex(randomBytes(4))}`, secret: hex(randomBytes(KEY_BYTES)) }],
    nonceKeys: [{ id: `n-${hex(randomBytes(4))}`, secret: hex(randomBytes(KEY_BYTES)) }],
  }
}

/** Judges what a key ring's file holds, once it is parsed; the message names the field. */
export function judgeKeyRing(parsed: unknown): { ring: KeyRing } | { message: string } {
  const result = keyRingFile.safeParse(parsed)
  if (!result.success) {
    const [issue] = result.error.issues
    const field = issue?.path.join('.') || 'the file'
    return { message: `keys.yaml: ${field}: ${issue?.message ?? 'is malformed'}` }
  }
  const twice = duplicateId(result.data)
  if (twice !== undefined) return { message: `keys.yaml: the id "${twice}" stands there twice` }
  return { ring: result.data }
}

function duplicateId({ keys, nonceKeys, tokenKeys = [] }: KeyRingFile): string | undefined {
  for (const list of [keys, nonceKeys, tokenKeys]) {
    const ids = list.map(({ id }) => id)
    const twice = ids.find((id, index) => ids.indexOf(id) !== index)
    if (twice !== undefined) return twice
  }
  return undefined
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
