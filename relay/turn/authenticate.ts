import type { AccessToken } from '../stun/access-token.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { NONCE_BYTES_MAX, readText, USERNAME_BYTES_MAX } from '../stun/attributes.ts'
import { FEATURE, readNonceCookie } from '../stun/nonce-cookie.ts'
import {
  OFFERED_PASSWORD_ALGORITHMS,
  type PasswordAlgorithm,
  readPasswordAlgorithm,
} from '../stun/password-algorithm.ts'
import type { StunReader } from '../stun/reader.ts'
import type { Allocation, AllocationOwner } from './allocation.ts'
import { chargeAnswer } from './answer-budget.ts'
import type { TurnCore } from './core.ts'
import type { Candidate } from './credentials.ts'
import { isActive } from './mobility.ts'
import { type Refusal, refuse, refuseUnknown, SILENCE, type Silence } from './outcome.ts'
import type { Request } from './request.ts'
import { tokenRemainingSeconds } from './third-party.ts'

const USERHASH_BYTES = 32
/** Nobody's key: the integrity of a request whose token does not open is worked out as that of any other. */
const NOBODYS_KEY = new Uint8Array(20)
const SHORT_KEY_BYTES = 16
/** Hexadecimal digits that tell the tokens of one key apart. */
const TOKEN_DIGITS = 16
/** Nobody's name: a hash of no user is refused after the work that an unknown name costs. */
const NOBODY = ''

/** Who a request says it is from. */
interface Claim {
  readonly username: string
  /** See `AllocationOwner`. */
  readonly algorithm: PasswordAlgorithm | undefined
}

/**
 * The long-term credential mechanism: the checks of RFC 8489 §9.2.4, answered in its order. The nonce is looked at
 * before the integrity, as it costs less: only who has one of ours can be reached, and gets any work he asks for;
 * for others an integrity is worked out as often as they may be answered.
 */
export function authenticate(core: TurnCore, request: Request): AllocationOwner | Refusal | Silence {
  const { reader, realm } = request
  if (!reader.hasIntegrity && !reader.hasIntegritySha256) return refuse('challenge')
  const username = readUsername(core, request)
  const nonce = text(reader, ATTRIBUTE.Nonce, NONCE_BYTES_MAX)
  if (username === undefined || nonce === undefined || !reader.has(ATTRIBUTE.Realm)) {
    return refuse('incomplete-credentials')
  }
  if (reader.has(ATTRIBUTE.AccessToken) && !realm.thirdParty) return refuseUnknown([ATTRIBUTE.AccessToken])
  const algorithm = chosenAlgorithm(core, reader, nonce)
  if (algorithm === 'invalid') return refuse('password-algorithm')
  const fresh = isFresh(core, request, nonce)
  const exceeded = fresh ? undefined : chargeAnswer(core, request)
  if (exceeded) {
    core.counters.drops[exceeded]++
    return SILENCE
  }
  const claim = { username, algorithm }
  const check = reader.has(ATTRIBUTE.AccessToken) ? openToken : lookUp
  const owner = ownAllocation(core, request, claim) ?? check(core, request, claim)
  if ('kind' in owner) return owner
  if (!fresh) return refuse('stale-nonce')
  const allocation = active(request)
  if (allocation?.owner === owner) allocation.prove(nonce, core.nonces)
  return owner
}

/** Whether the nonce is one of ours for this client, and not too old. */
function isFresh(core: TurnCore, request: Request, nonce: string): boolean {
  const allocation = active(request)
  const proven = allocation?.nonceMint === core.nonces ? allocation.nonce : undefined
  return core.nonces.verify(nonce, request.client, core.unixSeconds(request.now), proven)
}

/** The allocation of this 5-tuple: what was proven holds for one client address, and that of a mobile client is a new one. */
function active({ allocation, link, client }: Request): Allocation | undefined {
  return allocation && isActive(allocation, link, client) ? allocation : undefined
}

/**
 * PASSWORD-ALGORITHM, where the nonce says that it was offered (RFC 8489 §9.2.4). What is not the offer we made,
 * or a choice outside of it, was changed on the way to make the client use a weaker algorithm.
 */
function chosenAlgorithm(
  core: TurnCore,
  reader: StunReader,
  nonce: string,
): PasswordAlgorithm | undefined | 'invalid' {
  const offer = reader.find(ATTRIBUTE.PasswordAlgorithms)
  if (offer < 0 && !reader.has(ATTRIBUTE.PasswordAlgorithm)) return undefined
  const offered = ((readNonceCookie(nonce) ?? 0) & FEATURE.PasswordAlgorithms) !== 0
  if (!offered || offer < 0 || !core.crypto.equal(reader.value(offer), OFFERED_PASSWORD_ALGORITHMS)) {
    return 'invalid'
  }
  return readPasswordAlgorithm(reader) ?? 'invalid'
}

/** USERNAME, or the name behind USERHASH; undefined where both are missing or malformed. */
function readUsername(
  { crypto }: TurnCore,
  { reader, allocation, realm: { credentials } }: Request,
): string | undefined {
  const hashed = reader.find(ATTRIBUTE.Userhash)
  if (hashed < 0 || reader.has(ATTRIBUTE.Username))
    return text(reader, ATTRIBUTE.Username, USERNAME_BYTES_MAX)
  if (reader.valueLength(hashed) !== USERHASH_BYTES) return undefined
  const hash = reader.value(hashed)
  const holder = allocation?.owner.username
  if (holder !== undefined && crypto.equal(hash, credentials.userhash(holder))) return holder
  return credentials.nameOf(hash) ?? NOBODY
}

/**
 * The user of a live allocation goes on with the key that made it, whatever became of the credential: calls
 * outlast the expiry of a TURN REST username and the rotation of keys. `revoke` is what ends them.
 */
function ownAllocation(
  core: TurnCore,
  { allocation, reader, realm }: Request,
  { username, algorithm }: Claim,
): AllocationOwner | undefined {
  if (!allocation) return undefined
  const { owner } = allocation
  const isTheirs =
    owner.username === username && owner.algorithm === algorithm && owner.realm.name === realm.name
  return isTheirs && verifies(core, reader, owner.key) ? owner : undefined
}

function lookUp(
  core: TurnCore,
  { reader, now, realm }: Request,
  { username, algorithm }: Claim,
): AllocationOwner | Refusal {
  const seconds = core.unixSeconds(now)
  const { user, candidates, standing, claims } = realm.credentials.identify(username, seconds, algorithm)
  let match: Candidate | undefined
  for (const candidate of candidates) {
    if (verifies(core, reader, candidate.key)) match ??= candidate
    // What is refused costs the same whichever key fits, and whether one does.
    if (match && standing === 'valid') break
  }
  if (standing === 'unknown') return refuse('unknown-user')
  if (!match) return refuse('wrong-password')
  if (standing === 'expired') return refuse('expired-credential')
  const { key, keyId } = match
  return { realm, username, user, tenant: claims?.tenant, claims, key, algorithm, keyId, token: undefined }
}

/**
 * ACCESS-TOKEN, sealed with the key that USERNAME names (RFC 7635 §7). Tokens name no user: each counts as one.
 */
function openToken(
  core: TurnCore,
  { reader, now, realm }: Request,
  { username, algorithm }: Claim,
): AllocationOwner | Refusal {
  const value = reader.value(reader.find(ATTRIBUTE.AccessToken))
  const token = realm.thirdParty?.open(username, value)
  const key = macKeys(token).find((one) => verifies(core, reader, one))
  if (!token) return refuse('access-token')
  if (!key) return refuse('wrong-password')
  if (tokenRemainingSeconds(token, core.unixSeconds(now)) <= 0) return refuse('expired-credential')
  const user = `${username}/${hex(core.crypto.sha256(token.macKey)).slice(0, TOKEN_DIGITS)}`
  const unclaimed = { tenant: undefined, claims: undefined }
  return { realm, username, user, ...unclaimed, key, algorithm, keyId: username, token }
}

/** The key of a token as it stands, and as coturn and its client take it: the length of an MD5 hash, no more. */
function macKeys(token: AccessToken | undefined): readonly Uint8Array[] {
  const whole = token?.macKey ?? NOBODYS_KEY
  return [whole, whole.subarray(0, SHORT_KEY_BYTES)]
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
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
