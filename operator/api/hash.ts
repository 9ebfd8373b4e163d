const OFFSET = 0xcbf29ce484222325n
const PRIME = 0x100000001b3n
const MASK = 0xffffffffffffffffn

/** FNV-1a, 64 bits, of the UTF-16 code units, as 16 hex digits: finds changes, protects nothing. */
export function contentHash(text: string): string {
  return fnv1a(text).toString(16).padStart(16, '0')
}

/** A number from 0 to `size` - 1 that only `text` decides. */
export function hashBelow(text: string, size: number): number {
  return Number(fnv1a(text) % BigInt(size))
}

/** JSON with the keys of every object in order, so that equal content gives equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  )
}

function fnv1a(text: string): bigint {
  let hash = OFFSET
  for (let i = 0; i < text.length; i++) hash = ((hash ^ BigInt(text.charCodeAt(i))) * PRIME) & MASK
  return hash
}
