import type { SharedKey } from '../../relay/api/credentials-config.ts'
import { realmKey } from '../../relay/api/realm-keys.ts'
import { formatRestUsername } from '../../relay/api/rest-credential.ts'
import {
  type CredentialClaims,
  formatSignedUsername,
  signedPassword,
  signingKey,
} from '../../relay/api/signed-credential.ts'
import type { PublishedCluster } from '../controller/contract.ts'
import { chooseRelays, type RelayChoice } from './choose-relays.ts'
import { relayUrls } from './ice-urls.ts'

/** What a page hands to `RTCPeerConnection`. */
export interface IceServer {
  urls: string[]
  username: string
  credential: string
}

/** What a signed credential says besides who it is for. */
export type CredentialGrant = Omit<CredentialClaims, 'expiresUnixSeconds' | 'keyId' | 'user'>

export interface IssueRequest extends RelayChoice {
  /** What the relays count quotas by. */
  user: string
  /** Where the caller wants less than the cluster's ttl. */
  ttlSeconds?: number
  /** Absent: a plain TURN REST credential. */
  grant?: CredentialGrant
  /** One of the further realms; absent: the default one. */
  realm?: string
  nowMs: number
}

/** Cryptography and randomness, handed in. */
export interface IssueMeans {
  hmacSha1(key: Uint8Array, data: Uint8Array): Uint8Array
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
  random(): number
}

export type Issued =
  | { state: 'issued'; iceServers: IceServer[]; ttlSeconds: number; keyId: string }
  | { state: 'no-key' }
  | { state: 'no-relay' }

/** The longest name that a credential carries; USERNAME has room for 508 bytes (RFC 8489 §14.3). */
const MAX_USER_LENGTH = 256
const LEAST_TTL_SECONDS = 60

/**
 * A credential and the relays to use it with, as the draft on TURN REST and `RTCPeerConnection` want them. Throws a
 * RangeError where what a signed one is to say does not fit a username.
 */
export function issueIceServers(cluster: PublishedCluster, request: IssueRequest, means: IssueMeans): Issued {
  const { realm } = request
  const master = cluster.keyRing?.keys[0]
  if (!master) return { state: 'no-key' }
  const key = realm === undefined ? master : realmKey(means, master, realm)
  const serving = cluster.relays.filter((relay) => relayUrls(relay, cluster, realm).length > 0)
  const relays = chooseRelays(serving, request, () => means.random())
  if (relays.length === 0) return { state: 'no-relay' }
  const ttlSeconds = Math.min(
    cluster.ttlSeconds,
    Math.max(LEAST_TTL_SECONDS, Math.floor(request.ttlSeconds ?? cluster.ttlSeconds)),
  )
  const expiresUnixSeconds = Math.floor(request.nowMs / 1000) + ttlSeconds
  const { grant, user } = request
  const credential = grant
    ? signedCredential(key, { ...grant, expiresUnixSeconds, keyId: key.id, user }, means)
    : restCredential(key, expiresUnixSeconds, user, means)
  const iceServers = relays.map((relay) => ({ urls: relayUrls(relay, cluster, realm), ...credential }))
  return { state: 'issued', iceServers, ttlSeconds, keyId: key.id }
}

/** One TURN REST credential (draft-uberti-behave-turn-rest-00 §2.2). */
export function restCredential(
  key: SharedKey,
  expiresUnixSeconds: number,
  user: string,
  { hmacSha1 }: Pick<IssueMeans, 'hmacSha1'>,
): { username: string; credential: string } {
  const username = formatRestUsername({ expiresUnixSeconds, user: user.slice(0, MAX_USER_LENGTH) })
  const encoder = new TextEncoder()
  return { username, credential: base64(hmacSha1(encoder.encode(key.secret), encoder.encode(username))) }
}

/** One signed credential: see `docs/credentials.md`. */
function signedCredential(
  key: SharedKey,
  claims: CredentialClaims,
  means: Pick<IssueMeans, 'hmacSha256'>,
): { username: string; credential: string } {
  const username = formatSignedUsername(claims)
  return { username, credential: signedPassword(means, signingKey(means, key.secret), username) }
}

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}
