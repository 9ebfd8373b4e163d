import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { parse } from 'yaml'
import { z } from 'zod'
import { keyGrant } from './ice-grant.ts'

export const API_KEY_PREFIX = 'tfk_'
const KEYS_MAX = 1000

/** One key as it is stored: the key itself is known to its holder only. */
const apiKey = z.strictObject({
  /** What logs and metrics may show. */
  id: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'must be lower-case letters, digits, - and .')
    .max(63),
  /** SHA-256 of the whole key, hex. */
  hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the key in lower-case hex'),
  /** `namespace/name` of the TurnClusters that it is good for; absent: all. */
  clusters: z
    .array(z.string().regex(/^[^/]+\/[^/]+$/, 'must be namespace/name'))
    .min(1)
    .max(100)
    .optional(),
  /** Origins of pages that may use it; absent: none, so that only servers can. */
  origins: z
    .array(z.string().regex(/^https?:\/\/[^/]+$/, 'must be an origin such as https://app.example.org'))
    .max(100)
    .optional(),
  /** May revoke users, too: whoever holds it can end any call. */
  revoke: z.boolean().default(false),
  perMinute: z.number().min(1).max(1_000_000).default(600),
  /** Absent: the holder may ask for any tenant and limits, for no peer policy. */
  grant: keyGrant.optional(),
})

const apiKeyFile = z.array(apiKey).max(KEYS_MAX)

export type ApiKey = z.infer<typeof apiKey>

/** Reads the YAML (or JSON) list of keys that the API-key Secret or file holds; throws with the field at fault. */
export function parseApiKeys(text: string): ApiKey[] {
  const result = apiKeyFile.safeParse(parse(text) ?? [])
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw new Error(`API keys: ${issue?.path.join('.') || 'the list'}: ${issue?.message ?? 'is malformed'}`)
}

/** Makes a new key: `key` goes to its holder once, `entry` is what is stored. */
export function createApiKey(entry: Omit<z.input<typeof apiKey>, 'hash'>): { key: string; entry: ApiKey } {
  const key = API_KEY_PREFIX + randomBytes(32).toString('base64url')
  return { key, entry: apiKey.parse({ ...entry, hash: hashApiKey(key).toString('hex') }) }
}

/** The stored entry of a presented key; takes the same time wherever it stands in the list. */
export function findApiKey(keys: readonly ApiKey[], presented: string): ApiKey | undefined {
  const hash = hashApiKey(presented)
  let found: ApiKey | undefined
  for (const key of keys) {
    if (timingSafeEqual(Buffer.from(key.hash, 'hex'), hash)) found = key
  }
  return found
}

function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}
