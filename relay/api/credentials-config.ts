import { z } from 'zod'

/** Who may use a relay: the block `credentials` of its configuration file, and the key ring's file. */

/** Bytes of the keys of AES-128-GCM and AES-256-GCM. */
const TOKEN_KEY_BYTES = { A128GCM: 16, A256GCM: 32 } as const
/** The shortest first request, an Allocate, and how much longer than it a challenge with extensions may be. */
const FIRST_REQUEST_BYTES = 28
const CHALLENGE_RATIO_MAX = 3.5
/** Header, ERROR-CODE and NONCE of a challenge; with SHA-256 offered, its nonce cookie and PASSWORD-ALGORITHMS too. */
const CHALLENGE_BYTES = 48
const SHA256_OFFER_BYTES = 28
const ATTRIBUTE_HEADER_BYTES = 4

const secret = z.string().min(1, 'must not be empty')

/** One shared secret; `id` is what logs and reports may show. */
export const sharedKey = z.strictObject({
  id: z.string().min(1).max(64).describe('What logs and reports may show.'),
  secret: secret.describe('The secret itself.'),
})

/** One key of an authorization server (RFC 7635 §4.1). */
const tokenKey = z
  .strictObject({
    id: z.string().min(1).max(64).describe('The kid that clients send as USERNAME.'),
    algorithm: z
      .enum(['A256GCM', 'A128GCM'])
      .default('A256GCM')
      .describe('Authenticated encryption of the tokens: AES-GCM with a key of 32 or of 16 bytes.'),
    key: z.string().max(64).describe('The key, base64 or base64url.'),
  })
  .superRefine(({ algorithm, key }, context) => {
    if (decodeTokenKey(key)?.length === TOKEN_KEY_BYTES[algorithm]) return
    const message = `must be ${TOKEN_KEY_BYTES[algorithm]} bytes in base64, for ${algorithm}`
    context.addIssue({ code: 'custom', path: ['key'], message })
  })

const tokenKeys = z.array(tokenKey).max(16)

/** The content of `credentials.keysFile`: what the operator puts into the key ring's Secret. */
export const keyRingFile = z.strictObject({
  keys: z.array(sharedKey).min(1).max(16),
  nonceKeys: z.array(sharedKey).min(1).max(16),
  tokenKeys: tokenKeys.optional(),
})

const thirdParty = z.strictObject({
  serverName: z
    .string()
    .min(1)
    .max(253)
    .describe(
      'What clients are told, and tokens are made for: the name that the authorization server knows.',
    ),
  keys: tokenKeys
    .default([])
    .describe('Keys shared with the authorization server: each opens the tokens of its kid.'),
})

export const credentialsConfig = z.strictObject({
  keys: z
    .array(sharedKey)
    .max(16)
    .default([])
    .describe('Shared secrets of TURN REST credentials: every one verifies, the first one signs.'),
  users: z
    .array(
      z.strictObject({
        username: z.string().min(1).max(508).describe('Name that clients give.'),
        password: secret.describe('Password of that name.'),
      }),
    )
    .max(10_000)
    .default([])
    .describe('Long-term users with a fixed password.'),
  offerSha256: z
    .boolean()
    .default(false)
    .describe(
      'Offers clients SHA-256 beside MD5 and, where there are only users, hashed user names (RFC 8489 §9.2). No browser uses it, and it makes a 401 3.5 times as long as the request, where it is 2.6 times without.',
    ),
  thirdParty: thirdParty
    .optional()
    .describe(
      'Third-party authorization (RFC 7635): clients show an ACCESS-TOKEN that an authorization server made. No browser uses it.',
    ),
  keysFile: z
    .string()
    .optional()
    .describe(
      'A file with keys, nonceKeys and, for thirdParty, tokenKeys, watched; its keys come after those of this file.',
    ),
  revocationsFile: z
    .string()
    .optional()
    .describe(
      'A file with credentials that are refused although they verify, watched: "entries" with id, user, tenant or keyId, and until. Who is named in it loses live allocations at once. It may come later.',
    ),
})

/** The bytes of a token key; undefined where it is not base64. */
export function decodeTokenKey(key: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(key.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
  } catch {
    return undefined
  }
}

/**
 * Why credentials cannot be offered: the challenge that names realm and server would be too large an answer to a
 * stranger. Undefined where they can.
 */
export function challengeProblem(realm: string, credentials: CredentialsConfig): string | undefined {
  const { offerSha256, thirdParty: offered } = credentials
  if (!offered) return undefined
  const names = attributeBytes(realm) + attributeBytes(offered.serverName)
  const bytes = CHALLENGE_BYTES + (offerSha256 ? SHA256_OFFER_BYTES : 0) + names
  const most = FIRST_REQUEST_BYTES * CHALLENGE_RATIO_MAX
  if (bytes <= most) return undefined
  const remedy = offerSha256
    ? 'turn offerSha256 off, or shorten realm and serverName'
    : 'shorten realm or serverName'
  return `makes a 401 of ${bytes} bytes, where ${most} is the most that a stranger may get; ${remedy}`
}

function attributeBytes(text: string): number {
  return ATTRIBUTE_HEADER_BYTES + ((new TextEncoder().encode(text).length + 3) & ~3)
}

export type CredentialsConfig = z.infer<typeof credentialsConfig>
export type KeyRingFile = z.infer<typeof keyRingFile>
export type SharedKey = z.infer<typeof sharedKey>
