import type { RelayAddress as ConfiguredAddress, RelayConfig, RelayLimits } from '../api/config.ts'
import { type CredentialsConfig, decodeTokenKey, type SharedKey } from '../api/credentials-config.ts'
import { discoveryAddresses } from '../api/nat-discovery-config.ts'
import type { FurtherRealm } from '../api/realm-config.ts'
import type { TransportAddress } from '../stun/address.ts'
import { parseAddress } from '../stun/address-text.ts'
import { FEATURE } from '../stun/nonce-cookie.ts'
import type { NatDiscoveryOptions } from './nat-discovery.ts'
import type { NamedPeerPolicy } from './peer-policies.ts'
import type { PeerPolicyOptions } from './peer-policy.ts'
import type { RealmOptions } from './realm.ts'
import type { PortRange } from './relay-ports.ts'

/** What the state machine needs of a relay's configuration, addresses resolved and parsed. */
export interface TurnServerConfig {
  /** SOFTWARE of responses; undefined: none. */
  readonly software: string | undefined
  readonly relayAddresses: readonly RelayAddressPair[]
  readonly relayPorts: PortRange
  /** The first is the default. */
  readonly realms: readonly RealmOptions[]
  /** Empty: the machine makes one, valid for itself only. */
  readonly nonceKeys: readonly SharedKey[]
  /** Whether clients may ask for MOBILITY-TICKETs (RFC 8016). */
  readonly mobility: boolean
  /** Undefined: off. */
  readonly natDiscovery: NatDiscoveryOptions | undefined
  readonly peers: PeerPolicyOptions
  /** What signed credentials may name. */
  readonly peerPolicies: readonly NamedPeerPolicy[]
  /** Whether clients may ask for TCP allocations (RFC 6062). */
  readonly tcpPeers: boolean
  readonly limits: RelayLimits
}

/** Addresses without a port. */
export interface RelayAddressPair {
  readonly bind: TransportAddress
  readonly advertise: TransportAddress
}

/** What the host knows and a configuration file does not. */
export interface HostAddresses {
  /** Public addresses in force, `bind` resolved; absent: `config.relay.addresses`, bound as they are advertised. */
  readonly relayAddresses?: readonly ConfiguredAddress[]
  /** Further addresses of this host: with listeners on an unspecified address, all it has. */
  readonly own?: readonly string[]
}

/** Derives the state machine's configuration; throws an Error that names the field that is no literal address. */
export function turnServerConfig(config: RelayConfig, host: HostAddresses = {}): TurnServerConfig {
  const relayAddresses = (host.relayAddresses ?? config.relay.addresses).map(parsePair)
  const advertised = relayAddresses.map((pair) => pair.advertise)
  const natDiscovery = natDiscoveryOptions(config, host.relayAddresses ?? config.relay.addresses)
  const own = [
    ...advertised,
    ...relayAddresses.map((pair) => pair.bind),
    ...config.listeners.flatMap((listener) => parseOptional('listeners[].address', listener.address)),
    ...(natDiscovery?.addresses ?? []).flatMap((pair) => [pair.advertise, pair.bind]),
    ...parseOptional('control.address', config.control.address),
    ...(host.own ?? []).flatMap((text) => parseOptional('own address', text)),
  ].filter((address) => !isUnspecified(address))
  const peers: PeerPolicyOptions = {
    mode: config.peers.mode,
    allow: config.peers.allow,
    deny: config.peers.deny,
    hairpin: config.peers.hairpin,
    siblingPorts: config.peers.siblingPorts,
    internal: config.peers.internal,
    nodes: config.peers.nodes,
    nodePorts: config.relay.ports,
    advertised,
    own,
    ownPorts: new Set([
      ...config.listeners.map((listener) => listener.port),
      ...(config.natDiscovery?.ports ?? []),
      config.control.port,
    ]),
  }
  return {
    software: config.software,
    relayAddresses,
    relayPorts: config.relay.ports,
    realms: [defaultRealm(config), ...config.realms.map((realm) => furtherRealm(config, realm))],
    nonceKeys: config.nonceKeys,
    mobility: config.mobility,
    natDiscovery,
    peers,
    peerPolicies: config.peerPolicies.map(({ name, mode, allow, deny }) => ({
      ...peers,
      name,
      mode,
      allow,
      deny: [...peers.deny, ...deny],
    })),
    tcpPeers: config.peers.tcp,
    limits: config.limits,
  }
}

function defaultRealm(config: RelayConfig): RealmOptions {
  return {
    ...realmOptions(config, config.realm, config.credentials),
    isDefault: true,
    origins: [],
    serverNames: [],
    peerPolicy: undefined,
    allocations: undefined,
    allocationsPerUser: undefined,
  }
}

function furtherRealm(
  config: RelayConfig,
  { realm, credentials, origins, serverNames, peerPolicy, limits }: FurtherRealm,
): RealmOptions {
  return {
    ...realmOptions(config, realm, credentials),
    isDefault: false,
    origins,
    serverNames,
    peerPolicy,
    allocations: limits.allocations,
    allocationsPerUser: limits.allocationsPerUser,
  }
}

function realmOptions({ listeners }: RelayConfig, realm: string, credentials: CredentialsConfig) {
  const { users, keys, thirdParty } = credentials
  return {
    realm,
    listeners: listeners
      .filter((listener) => listener.realm === realm)
      .map(({ port, protocol }) => ({ port, stream: protocol === 'tcp' || protocol === 'tls' })),
    users,
    keys,
    securityFeatures: securityFeatures(credentials),
    thirdParty: thirdParty && {
      serverName: thirdParty.serverName,
      keys: thirdParty.keys.map(({ id, key }) => ({ id, key: decodeTokenKey(key)! })),
    },
  }
}

/** Names of TURN REST credentials cannot be found by their hash: USERHASH is offered where there are none. */
function securityFeatures({ offerSha256, keys }: CredentialsConfig): number {
  if (!offerSha256) return 0
  return FEATURE.PasswordAlgorithms | (keys.length === 0 ? FEATURE.UsernameAnonymity : 0)
}

/** Streams take part where listeners of their kind are on both addresses and both ports (RFC 5780 §6). */
function natDiscoveryOptions(
  { natDiscovery, listeners }: RelayConfig,
  relayAddresses: readonly ConfiguredAddress[],
): NatDiscoveryOptions | undefined {
  const pairs = discoveryAddresses(natDiscovery, relayAddresses)
  if (!natDiscovery || pairs.length === 0) return undefined
  const { ports } = natDiscovery
  const everywhere = (...protocols: string[]) =>
    pairs.every(({ bind }) =>
      ports.every((port) =>
        listeners.some(
          (one) => protocols.includes(one.protocol) && one.address === bind && one.port === port,
        ),
      ),
    )
  return {
    addresses: pairs.map(({ bind, advertise }) => ({
      bind: parse('natDiscovery.addresses[].bind', bind),
      advertise: parse('natDiscovery.addresses[].advertise', advertise),
    })),
    ports,
    tcp: everywhere('tcp', 'tls'),
    tls: everywhere('tls'),
  }
}

function parsePair(pair: ConfiguredAddress): RelayAddressPair {
  const advertise = parse('relay.addresses[].advertise', pair.advertise)
  const bind = pair.bind === undefined ? advertise : parse('relay.addresses[].bind', pair.bind)
  if (bind.family === advertise.family) return { bind, advertise }
  throw new Error(
    `relay.addresses: "${pair.bind}" and "${pair.advertise}" are of different families; bind an address of the advertised one's`,
  )
}

function parseOptional(field: string, text: string | undefined): TransportAddress[] {
  return text === undefined ? [] : [parse(field, text)]
}

function parse(field: string, text: string): TransportAddress {
  const address = parseAddress(text, 0)
  if (!address) throw new Error(`${field}: "${text}" is not a literal IP address`)
  return address
}

/** Whether it is 0.0.0.0 or ::. */
function isUnspecified(address: TransportAddress): boolean {
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 0
}
