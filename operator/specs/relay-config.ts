import type { RelayConfigInput } from '../../relay/api/config.ts'
import { durationSeconds } from '../api/durations.ts'
import { effectiveListeners, realmOfListener } from '../api/listeners.ts'
import type { Listener, TurnCluster } from '../api/turn-cluster.ts'
import type { ClusterNetworks } from '../controller/contract.ts'

type RelayListener = Omit<Listener, 'name'> & { name?: string }

/** What a driver decides about a relay's configuration: where its files lie and what this machine leaves it. */
export interface RelayPlace {
  addressesFile?: string
  addresses?: RelayConfigInput['relay']['addresses']
  keysFile: string
  revocationsFile?: string
  /** Used where the spec has `tls` or a TLS listener. */
  tls?: { certFile: string; keyFile: string }
  operator?: RelayConfigInput['operator']
  control?: RelayConfigInput['control']
  /** Other listeners than those of the spec, where relays share a machine. */
  listeners?: readonly RelayListener[]
  /** Another range than that of the spec, where relays share an address. */
  relayPorts?: { min: number; max: number }
  identity?: RelayConfigInput['identity']
  /** What lies around the relays. */
  networks?: Pick<ClusterNetworks, 'internal' | 'nodes'> | undefined
  workers?: number | undefined
  /** Where the next relay asks for the listeners. */
  handOverSocket?: string
}

const LEAST_STREAMS = 10_000

/** The configuration file of a relay of this cluster: one function for pods and for local processes. */
export function relayConfigFor(cluster: Pick<TurnCluster, 'spec'>, place: RelayPlace): RelayConfigInput {
  const { spec } = cluster
  const listeners = relayListeners(place.listeners ?? effectiveListeners(spec), spec.realms)
  const needsTls = listeners.some((listener) => listener.protocol === 'tls' || listener.protocol === 'dtls')
  return {
    realm: spec.realm,
    listeners,
    ...(!place.listeners && natDiscovery(spec)),
    relay: {
      ...(place.addresses && { addresses: place.addresses }),
      ...(place.addressesFile !== undefined && { addressesFile: place.addressesFile }),
      ports: place.relayPorts ?? spec.network.relayPorts,
    },
    ...(needsTls && place.tls && { tls: place.tls }),
    credentials: {
      keysFile: place.keysFile,
      ...(spec.credentials.thirdParty && { thirdParty: spec.credentials.thirdParty }),
      ...(place.revocationsFile !== undefined && { revocationsFile: place.revocationsFile }),
    },
    peers: {
      mode: MODES[spec.peers.mode],
      allow: spec.peers.allow,
      deny: spec.peers.deny,
      ...(place.networks && { internal: place.networks.internal, nodes: place.networks.nodes }),
      tcp: spec.peers.tcp,
      ...(place.relayPorts && { siblingPorts: spec.network.relayPorts }),
    },
    realms: spec.realms.map(({ realm, peerPolicy, limits }) => ({
      realm,
      credentials: { deriveKeys: true },
      ...(peerPolicy !== undefined && { peerPolicy }),
      limits,
    })),
    peerPolicies: spec.peerPolicies.map((policy) => ({ ...policy, mode: MODES[policy.mode] })),
    limits: relayLimits(spec.limits),
    drain: { maxDurationSeconds: durationSeconds(spec.drain.maxDuration) },
    datapath: DATAPATHS[spec.datapath],
    ...(place.handOverSocket !== undefined && { handOver: { socket: place.handOverSocket } }),
    dscp: DSCP[spec.network.dscp],
    ...(place.control && { control: place.control }),
    ...(place.operator && { operator: place.operator }),
    ...(place.identity && { identity: place.identity }),
    ...(place.workers !== undefined && { workers: place.workers }),
  }
}

/** All but the capacity have the relay's own names. */
function relayLimits({ allocationsPerRelay, ...limits }: TurnCluster['spec']['limits']) {
  const streams = Math.max(LEAST_STREAMS, 2 * allocationsPerRelay)
  return { ...limits, allocations: allocationsPerRelay, streams }
}

const MODES = { Public: 'public', Private: 'private' } as const
const DATAPATHS = { Auto: 'auto', Portable: 'portable', Batched: 'batched', Kernel: 'kernel' } as const
const DSCP = { Keep: 'keep', Clear: 'clear' } as const
const PROTOCOLS = { UDP: 'udp', TCP: 'tcp', TLS: 'tls', DTLS: 'dtls' } as const

/** On the port of the first UDP listener that clients reach directly and the alternate one, and the addresses that the relay finds. */
function natDiscovery(spec: TurnCluster['spec']): Pick<RelayConfigInput, 'natDiscovery'> {
  const direct = effectiveListeners(spec).filter(({ proxyProtocol }) => !proxyProtocol)
  const first = direct.find(({ protocol }) => protocol === 'UDP')
  if (!spec.natDiscovery || !first) return {}
  return { natDiscovery: { ports: [first.port, spec.natDiscovery.alternatePort] } }
}

/** A TLS listener takes plain TCP as well, so that a TCP listener on its port would be one too many. */
function relayListeners(
  listeners: readonly RelayListener[],
  realms: TurnCluster['spec']['realms'],
): RelayConfigInput['listeners'] {
  const tlsPorts = new Set(listeners.filter((l) => l.protocol === 'TLS').map((l) => l.port))
  return listeners
    .filter((listener) => listener.protocol !== 'TCP' || !tlsPorts.has(listener.port))
    .map(({ name, protocol, port, proxyProtocol }) => {
      const realm = realmOfListener(realms, name)
      return {
        protocol: PROTOCOLS[protocol],
        port,
        ...(proxyProtocol && { proxyProtocol }),
        ...(realm !== undefined && { realm }),
      }
    })
}
