import { z } from 'zod'

/** Entries of one list: each is looked up in constant time, but all of them travel to every relay. */
export const REVOCATIONS_MAX = 1000
/** Longest text of an entry, in characters: a USERNAME has at most 508 bytes (RFC 8489 §14.3). */
const NAME_MAX = 508

/** Whose credentials are refused until when; what is named must all fit. */
export const revocation = z
  .strictObject({
    id: z
      .string()
      .regex(/^[\w.-]{1,64}$/, 'must be letters, digits, ".", "_" and "-", at most 64')
      .describe('What the entry is called.'),
    user: z
      .string()
      .min(1)
      .max(NAME_MAX)
      .optional()
      .describe('A user: the part of a TURN REST name after its expiry, or a whole name.'),
    tenant: z.string().min(1).max(NAME_MAX).optional().describe('Everyone of a tenant.'),
    keyId: z.string().min(1).max(64).optional().describe('Every credential made with a key.'),
    until: z.iso
      .datetime({ offset: true })
      .describe('When the entry ends: once the credential could not be valid any more.'),
  })
  .refine(
    ({ user, tenant, keyId }) => (user ?? tenant ?? keyId) !== undefined,
    'must name a user, a tenant or a keyId',
  )

/** A list of revocations; of two, the one with the higher generation is in force. */
export const revocationList = z.strictObject({
  generation: z.int().min(0).default(0),
  entries: z.array(revocation).max(REVOCATIONS_MAX).default([]),
})

export type Revocation = z.infer<typeof revocation>
export type RevocationList = z.infer<typeof revocationList>

export const NO_REVOCATIONS: RevocationList = { generation: 0, entries: [] }

/** Whom a credential belongs to. */
export interface RevocationSubject {
  /** The whole name. */
  readonly username?: string
  readonly user: string
  readonly tenant?: string | undefined
  readonly keyId?: string
}

/** Whether an entry is about this credential; its end does not count. */
export function concerns({ user, tenant, keyId }: Revocation, subject: RevocationSubject): boolean {
  return (
    (user === undefined || user === subject.user || user === subject.username) &&
    (tenant === undefined || tenant === subject.tenant) &&
    (keyId === undefined || keyId === subject.keyId)
  )
}
