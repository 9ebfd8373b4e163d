/**
 * TURN REST credentials (draft-uberti-behave-turn-rest-00 §2.2): the username is `expiry:name` with the expiry
 * in Unix seconds, the password is base64(HMAC-SHA1(shared secret, username)), or the same with HMAC-SHA256.
 * Every key of the ring verifies both.
 */
export interface RestUsername {
  readonly expiresUnixSeconds: number
  /** What quotas are counted by; may be empty. */
  readonly user: string
}

const LARGEST_EXPIRY = 4_102_444_800_000
const FORM = /^(\d{1,13})(?::(.*))?$/s

/** Reads a REST username; undefined where it has not that form or its expiry is out of range. */
export function parseRestUsername(username: string): RestUsername | undefined {
  const match = FORM.exec(username)
  if (!match) return undefined
  const expiresUnixSeconds = Number(match[1])
  if (expiresUnixSeconds > LARGEST_EXPIRY) return undefined
  return { expiresUnixSeconds, user: match[2] ?? '' }
}

export function formatRestUsername({ expiresUnixSeconds, user }: RestUsername): string {
  return `${Math.floor(expiresUnixSeconds)}:${user}`
}
