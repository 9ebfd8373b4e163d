import type { TransportAddress } from '../../../relay/stun/address.ts'
import { turnServerConfig } from '../../../relay/turn/server-config.ts'
import { address, OTHER_USER, relayConfigFor, USER } from '../../support/turn-harness.ts'

export const REST_SECRET = 'rest secret'
export const LIMITS = {
  allocations: 4,
  allocationsPerUser: 3,
  permissionsPerAllocation: 2,
  channelsPerAllocation: 2,
  peerConnections: 4,
  peerConnectionsPerAllocation: 3,
  pendingPeerConnectionsPerAllocation: 2,
}
export const OWN = ['192.0.2.1', '2001:db8::1'] as const
export const RELAY_PORTS = { min: 50_000, max: 50_007 }
export const TOKEN_SERVER = 'a.example'
export const TOKEN_KEY = { id: 'north', key: Buffer.alloc(32, 1).toString('base64') }
export const SECOND_REALM = {
  realm: 'second',
  credentials: { users: [{ username: 'erin', password: 'exile' }] },
  origins: ['http://second.example'],
  limits: { allocations: 2 },
}
/** The other address of NAT discovery. */
const SECOND = '192.0.2.2'
/** The only peers outside the relay that a client may ever reach; at these ports. */
const REACHABLE = new Set(['8.8.8.8', '9.9.9.9', '1.1.1.1', '2600::1'])

export const isReachable = (ip: string, port: number) => REACHABLE.has(ip) && (port >= 1024 || port === 443)

/** The ways in: UDP listeners, the four of NAT discovery among them, and streams that were accepted. */
export const LINKS: readonly {
  readonly id: number
  readonly transport: 'udp' | 'tcp' | 'tls'
  readonly local: string
  readonly remote?: string
}[] = [
  { id: 1, transport: 'udp', local: `${OWN[0]}:3478` },
  { id: 2, transport: 'tcp', local: `${OWN[0]}:3478`, remote: '198.51.100.8:4000' },
  { id: 3, transport: 'udp', local: `[${OWN[1]}]:3478` },
  { id: 4, transport: 'tls', local: `${OWN[0]}:443`, remote: '198.51.100.9:5000' },
  { id: 5, transport: 'udp', local: `${OWN[0]}:3479` },
  { id: 6, transport: 'udp', local: `${SECOND}:3478` },
  { id: 7, transport: 'udp', local: `${SECOND}:3479` },
  { id: 8, transport: 'tcp', local: `${OWN[0]}:3478`, remote: '198.51.100.8:4001' },
]

/** Who sends, and the nonce that it was given last. */
export interface FuzzedClient {
  readonly link: number
  readonly from: TransportAddress
  nonce: string | undefined
}

/** Who may send: a link and an address, some of them impossible. */
export const CLIENTS = [
  [1, '198.51.100.7:4000'],
  [1, '198.51.100.7:4001'],
  [2, '198.51.100.8:4000'],
  [1, '[2a00::7]:4000'],
  [1, '198.51.100.7:0'],
  [1, '224.0.0.1:4000'],
  [3, '[2a00::7]:4000'],
  [4, '198.51.100.9:5000'],
  [7, '198.51.100.7:4000'],
  [8, '198.51.100.8:4001'],
].map(([link, from]) => ({ link: Number(link), from: address(String(from)) }))

/** What an operator may have set; a bit each of a number. */
export interface Settings {
  readonly offerSha256: boolean
  readonly mobility: boolean
  readonly hairpin: boolean
  readonly newNonceKey: boolean
  readonly newRestKey: boolean
  readonly natDiscovery: boolean
  readonly software: boolean
  readonly private: boolean
  readonly tcp: boolean
  readonly thirdParty: boolean
  readonly secondRealm: boolean
}

export function settingsOf(bits: number): Settings {
  const has = (bit: number) => (bits & (1 << bit)) !== 0
  return {
    offerSha256: has(0),
    mobility: has(1),
    hairpin: !has(2),
    newNonceKey: has(3),
    newRestKey: has(4),
    natDiscovery: has(5),
    software: has(6),
    private: has(7),
    tcp: has(8),
    // Both together make a 401 that is too long.
    thirdParty: has(9) && !has(0),
    secondRealm: has(10),
  }
}

/** The configuration of a fuzzed server; `deny` comes on top of the built-in refusals. */
export function fuzzedConfig(settings: Settings, deny: readonly string[]) {
  const nonceKeys = [{ id: 'n1', secret: 'nonce secret' }]
  if (settings.newNonceKey) nonceKeys.unshift({ id: 'n2', secret: 'another nonce secret' })
  const secret = settings.newRestKey ? 'another rest secret' : REST_SECRET
  return turnServerConfig(
    relayConfigFor({
      relay: { addresses: OWN.map((advertise) => ({ advertise })), ports: RELAY_PORTS },
      credentials: {
        users: [USER, OTHER_USER],
        keys: [{ id: 'k', secret }],
        offerSha256: settings.offerSha256,
        ...(settings.thirdParty ? { thirdParty: { serverName: TOKEN_SERVER, keys: [TOKEN_KEY] } } : {}),
      },
      nonceKeys,
      ...(settings.secondRealm ? { realms: [SECOND_REALM] } : {}),
      mobility: settings.mobility,
      ...(settings.software ? { software: 'turnfleet' } : {}),
      ...(settings.natDiscovery
        ? {
            natDiscovery: {
              addresses: [{ advertise: OWN[0] }, { advertise: SECOND }],
              ports: [3478, 3479] as [number, number],
            },
          }
        : {}),
      peers: {
        deny: [...deny],
        hairpin: settings.hairpin,
        tcp: settings.tcp,
        ...(settings.private ? { mode: 'private' as const, allow: ['8.8.8.0/24', '2600::/16'] } : {}),
      },
      limits: { ...LIMITS, unauthenticatedResponsesPerSecond: 1_000_000 },
    }),
  )
}
