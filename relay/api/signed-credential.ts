import { z } from 'zod'
import { network } from './config-fields.ts'
import { formatRestUsername, parseRestUsername } from './rest-credential.ts'

/**
 * Signed credentials: a TURN REST credential whose username says besides who it is for what it allows. The username
 * is `expiry:tf1?claims`, the claims in the form of a query; the password is
 * base64(HMAC-SHA256(HMAC-SHA256(shared secret, PURPOSE), username)), so that nobody can change a claim, and nobody
 * who makes plain TURN REST credentials for names that users choose can make one by accident. Any client can use it,
 * and any relay that has the key can check it.
 */
export interface CredentialClaims {
  readonly expiresUnixSeconds: number
  /** The id of the shared secret. */
  readonly keyId: string
  readonly user: string
  readonly tenant?: string | undefined
  /** Allocations of the user, at most. */
  readonly allocations?: number | undefined
  /** Allocations of the tenant, at most. */
  readonly tenantAllocations?: number | undefined
  /** Relayed bytes per second of one allocation, each direction, at most. */
  readonly bytesPerSecond?: number | undefined
  /** The name of a peer policy of the relay's configuration. */
  readonly peerPolicy?: string | undefined
  /** Addresses and CIDRs outside of which no peer is reached. */
  readonly peers?: readonly string[] | undefined
  /** Where the client is; relays do not look at it. */
  readonly region?: string | undefined
}

/** The cryptography of passwords, handed in. */
export interface SigningMeans {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
}

/** USERNAME has room for this (RFC 8489 §14.3). */
const USERNAME_BYTES_MAX = 508
const PURPOSE = 'turnfleet signed credential 1'
const MARK = 'tf1?'
const ENCODER = new TextEncoder()

const name = z
  .string()
  .max(128)
  .regex(/^[^\p{Cc}]+$/u, 'must be 1 to 128 characters, none of them for control')
const count = z.coerce.number().int().min(1).max(65_536)

/** Networks that one credential may name. */
const CREDENTIAL_PEERS_MAX = 8
/** The name of a peer policy. */
export const peerPolicyName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits and inner dashes')

/** By their names in a username, in the order in which they stand there. */
const claimsSchema = z.strictObject({
  k: z.string().min(1).max(64),
  t: name.optional(),
  u: name,
  a: count.optional(),
  ta: count.optional(),
  b: z.coerce.number().int().min(1).max(100_000_000_000).optional(),
  p: peerPolicyName.optional(),
  n: z.array(network).min(1).max(CREDENTIAL_PEERS_MAX).optional(),
  r: z.string().min(1).max(63).optional(),
})

/** Writes the username; throws a RangeError where a claim is out of bounds or all of them are too long for USERNAME. */
export function formatSignedUsername(claims: CredentialClaims): string {
  const { keyId, tenant, user, allocations, tenantAllocations, bytesPerSecond, peerPolicy, peers, region } =
    claims
  const named = {
    k: keyId,
    t: tenant,
    u: user,
    a: allocations,
    ta: tenantAllocations,
    b: bytesPerSecond,
    p: peerPolicy,
    n: peers,
    r: region,
  }
  const checked = claimsSchema.safeParse(withoutUndefined(named))
  if (!checked.success) {
    const [issue] = checked.error.issues
    throw new RangeError(`the claim ${issue?.path.join('.')}: ${issue?.message}`)
  }
  const text = Object.entries(checked.data)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${encodeClaim(value)}`]))
    .join('&')
  const username = formatRestUsername({ expiresUnixSeconds: claims.expiresUnixSeconds, user: MARK + text })
  if (ENCODER.encode(username).length <= USERNAME_BYTES_MAX) return username
  throw new RangeError(
    `the claims make a username of more than ${USERNAME_BYTES_MAX} bytes; shorten or leave out some`,
  )
}

/** Whether a username has the form of a signed one, whatever its claims. */
export function isSignedUsername(username: string): boolean {
  return parseRestUsername(username)?.user.startsWith(MARK) ?? false
}

/**
 * Reads the claims of a username; undefined where it has not that form, where a claim is malformed or twice there,
 * or where one is not known: it may take away what the others allow.
 */
export function parseSignedUsername(username: string): CredentialClaims | undefined {
  const rest = parseRestUsername(username)
  if (!rest?.user.startsWith(MARK)) return undefined
  const named = decodeClaims(rest.user.slice(MARK.length))
  const checked = named && claimsSchema.safeParse(named)
  if (!checked?.success) return undefined
  const { k, t, u, a, ta, b, p, n, r } = checked.data
  return {
    expiresUnixSeconds: rest.expiresUnixSeconds,
    keyId: k,
    user: u,
    tenant: t,
    allocations: a,
    tenantAllocations: ta,
    bytesPerSecond: b,
    peerPolicy: p,
    peers: n,
    region: r,
  }
}

/** What passwords of signed credentials are made with: not the shared secret itself. */
export function signingKey(means: SigningMeans, secret: string): Uint8Array {
  return means.hmacSha256(ENCODER.encode(secret), ENCODER.encode(PURPOSE))
}

/** The password of a signed username. */
export function signedPassword(means: SigningMeans, key: Uint8Array, username: string): string {
  return btoa(String.fromCharCode(...means.hmacSha256(key, ENCODER.encode(username))))
}

function encodeClaim(value: string | number | readonly string[]): string {
  return Array.isArray(value) ? value.map(encodeURIComponent).join(',') : encodeURIComponent(String(value))
}

function decodeClaims(text: string): Record<string, string | string[]> | undefined {
  const claims: Record<string, string | string[]> = Object.create(null)
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=')
    const key = pair.slice(0, Math.max(equals, 0))
    if (equals < 1 || key in claims) return undefined
    const values = pair.slice(equals + 1).split(',')
    try {
      claims[key] = key === 'n' ? values.map(decodeURIComponent) : decodeURIComponent(values.join(','))
    } catch {
      return undefined
    }
  }
  return claims
}

function withoutUndefined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}
