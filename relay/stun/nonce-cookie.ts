/** Security features that a nonce speaks of (RFC 8489 §18.1), as flags. */
export const FEATURE = { PasswordAlgorithms: 1, UsernameAnonymity: 2 } as const

const PREFIX = 'obMatJos2'
/** Characters of a nonce cookie: the prefix and 24 bits in base64. */
export const COOKIE_CHARACTERS = 13
const KNOWN = FEATURE.PasswordAlgorithms | FEATURE.UsernameAnonymity

/**
 * The nonce cookie (RFC 8489 §9.2). Bit 0 is the leftmost one by §18.1, but the test vector of Appendix B, and
 * clients made after it, count from the other end: each bit is set at both ends, and found at either.
 */
export function nonceCookie(features: number): string {
  const bytes = String.fromCharCode(mirrored(features), 0, features)
  return PREFIX + btoa(bytes)
}

/** The features in a nonce's cookie; undefined where it has none. */
export function readNonceCookie(nonce: string): number | undefined {
  if (!nonce.startsWith(PREFIX) || nonce.length < COOKIE_CHARACTERS) return undefined
  try {
    const bytes = atob(nonce.slice(PREFIX.length, COOKIE_CHARACTERS))
    return (mirrored(bytes.charCodeAt(0)) | bytes.charCodeAt(2)) & KNOWN
  } catch {
    return undefined
  }
}

/** The two flags from one end of a byte to the other, either way. */
function mirrored(byte: number): number {
  const left = ((byte & 1) << 7) | ((byte & 2) << 5)
  const right = ((byte & 0x80) >> 7) | ((byte & 0x40) >> 5)
  return left | right
}
