import { issueIceServers } from '../credentials/issue.ts'
import { nodeCrypto } from '../fleet/node-crypto.ts'
import type { IceIssuer } from './ice-routes.ts'

/** Two relays, so that one may fail; each further URL costs every client an allocation. */
const RELAYS_PER_CLIENT = 2

/** The issuer of `/v1/ice`: the key ring that signs and the least loaded relays. */
export function createIceIssuer(random: () => number = Math.random): IceIssuer {
  return (cluster, { user, zone, grant, realm }, nowMs) => {
    const request = {
      user,
      count: RELAYS_PER_CLIENT,
      nowMs,
      ...(zone === undefined ? {} : { zone }),
      ...(realm === undefined ? {} : { realm }),
      ...(grant && { grant: { ...grant, region: zone } }),
    }
    const issued = issueIceServers(cluster, request, { ...nodeCrypto, random })
    if (issued.state !== 'issued') return undefined
    const { iceServers, ttlSeconds } = issued
    return { iceServers, ttlSeconds, expiresAtMs: nowMs + ttlSeconds * 1000 }
  }
}
