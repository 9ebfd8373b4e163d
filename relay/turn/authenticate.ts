import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { NONCE_BYTES_MAX, readText, USERNAME_BYTES_MAX } from '../stun/attributes.ts'
import type { StunReader } from '../stun/reader.ts'
import type { AllocationOwner } from './allocation.ts'
import type { TurnCore } from './core.ts'
import type { Candidate } from './credentials.ts'
import { type Refusal, refuse } from './outcome.ts'
import type { Request } from './request.ts'

/** The long-term credential mechanism: the checks of RFC 8489 §9.2.4, in its order. */
export function authenticate(core: TurnCore, request: Request): AllocationOwner | Refusal {
  const { reader, client, now } = request
  if (!reader.hasIntegrity && !reader.hasIntegritySha256) return refuse('challenge')
  const username = text(reader, ATTRIBUTE.Username, USERNAME_BYTES_MAX)
  const nonce = text(reader, ATTRIBUTE.Nonce, NONCE_BYTES_MAX)
  if (username === undefined || nonce === undefined || !reader.has(ATTRIBUTE.Realm)) {
    return refuse('incomplete-credentials')
  }
  const owner = ownAllocation(core, request, username) ?? lookUp(core, request, username)
  if ('kind' in owner) return owner
  const { allocation } = request
  const proven = allocation?.nonceMint === core.nonces ? allocation.nonce : undefined
  if (!core.nonces.verify(nonce, client, core.unixSeconds(now), proven)) return refuse('stale-nonce')
  if (allocation && allocation.owner === owner) allocation.prove(nonce, core.nonces)
  return owner
}

/**
 * The user of a live allocation goes on with the key that made it, whatever became of the credential: calls
 * outlast the expiry of a TURN REST username and the rotation of keys. `revoke` is what ends them.
 */
function ownAllocation(
  core: TurnCore,
  { allocation, reader }: Request,
  username: string,
): AllocationOwner | undefined {
  if (allocation?.owner.username !== username) return undefined
  return verifies(core, reader, allocation.owner.key) ? allocation.owner : undefined
}

function lookUp(core: TurnCore, { reader, now }: Request, username: string): AllocationOwner | Refusal {
  const { user, candidates, standing } = core.credentials.identify(username, core.unixSeconds(now))
  let match: Candidate | undefined
  for (const candidate of candidates) if (verifies(core, reader, candidate.key)) match ??= candidate
  if (standing === 'unknown') return refuse('unknown-user')
  if (!match) return refuse('wrong-password')
  if (standing === 'expired') return refuse('expired-credential')
  return { username, user, key: match.key, keyId: match.keyId }
}

function verifies(core: TurnCore, reader: StunReader, key: Uint8Array): boolean {
  return reader.hasIntegritySha256
    ? reader.verifyIntegritySha256(key, core.crypto)
    : reader.verifyIntegrity(key, core.crypto)
}

/** The value of a text attribute; undefined where it is missing, empty, too long or not UTF-8. */
function text(reader: StunReader, type: number, maxBytes: number): string | undefined {
  const index = reader.find(type)
  return index < 0 ? undefined : readText(reader, index, maxBytes) || undefined
}
