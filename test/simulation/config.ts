import { relayConfig } from '../../relay/api/config.ts'
import { type TurnServerConfig, turnServerConfig } from '../../relay/turn/server-config.ts'
import { RELAY_IP, RELAY_IPV6 } from './names.ts'

export const REST_SECRET = 'rest secret'

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
      limits: { ...limits, nonceLifetimeSeconds: 120, allocationLifetimeSeconds: 300 },
    }),
  )
}
