import { relayConfig } from '../../relay/api/config.ts'
import { type TurnServerConfig, turnServerConfig } from '../../relay/turn/server-config.ts'
import { RELAY_IP, RELAY_IPV6 } from './names.ts'

const REST_SECRET = 'rest secret'
const REST_LIFETIME_SECONDS = 3600

/** A TURN REST credential of the simulated relay, good for an hour. */
export function restCredential(
  hmac: (key: Uint8Array, data: Uint8Array) => Uint8Array,
  unixSeconds: number,
  user: string,
) {
  const username = `${Math.floor(unixSeconds + REST_LIFETIME_SECONDS)}:${user}`
  const encode = (text: string) => new TextEncoder().encode(text)
  return { username, password: Buffer.from(hmac(encode(REST_SECRET), encode(username))).toString('base64') }
}

/** The simulated relay: short lifetimes, few ports, and what browsers do not use. */
export function simulatedConfig(
  limits: { allocations: number; allocationsPerUser: number },
  offerSha256: boolean,
): TurnServerConfig {
  return turnServerConfig(
    relayConfig.parse({
      realm: 'sim',
      listeners: [{ protocol: 'udp', port: 3478 }],
      relay: {
        addresses: [{ advertise: RELAY_IP }, { advertise: RELAY_IPV6 }],
        ports: { min: 50_000, max: 50_255 },
      },
      credentials: { keys: [{ id: 'k', secret: REST_SECRET }], offerSha256 },
      nonceKeys: [{ id: 'n', secret: 'nonce secret' }],
      mobility: true,
      peers: { tcp: true },
      limits: { ...limits, nonceLifetimeSeconds: 120, allocationLifetimeSeconds: 300 },
    }),
  )
}
