import { durationSeconds } from '../api/durations.ts'
import { effectiveListeners, realmOfListener } from '../api/listeners.ts'
import type { Action, KeyRing, PublishedCluster, PublishedListener, PublishedRelay } from './contract.ts'
import type { AssessedRelay } from './relay-state.ts'
import type { ClusterView } from './view.ts'

/**
 * What clients may be given: Ready relays, without those that `actions` are about to drain or delete. A relay
 * leaves this list before it is told to drain. A key ring that cannot be read leaves `lastKeyRing` in force.
 */
export function publication(
  { observed, relays }: Pick<ClusterView, 'observed' | 'relays'>,
  actions: readonly Action[],
  lastKeyRing: KeyRing | undefined,
): PublishedCluster {
  const { metadata, spec } = observed.cluster
  const going = new Set(
    actions.flatMap((a) => (a.kind === 'drain' || a.kind === 'delete-relay' ? [a.uid] : [])),
  )
  const serves = metadata.deletionTimestamp === undefined
  const ready = relays.filter(({ relay, state }) => serves && state === 'Ready' && !going.has(relay.uid))
  return {
    key: observed.key,
    realm: spec.realm,
    realms: spec.realms.map(({ realm }) => realm),
    ttlSeconds: durationSeconds(spec.credentials.ttl),
    listeners: reportedListeners(
      effectiveListeners(spec).map((one) => ({ ...one, realm: realmOfListener(spec.realms, one.name) })),
    ),
    ...(spec.tls?.hostname !== undefined && { tlsName: spec.tls.hostname }),
    keyRing: observed.keyRing.state === 'valid' ? observed.keyRing.value : lastKeyRing,
    peerPolicies: spec.peerPolicies.map(({ name }) => name),
    relays: ready.map((assessed) => publishedRelay(assessed, spec.limits.allocationsPerRelay)),
  }
}

function publishedRelay(
  { relay, node, report, allocations }: AssessedRelay,
  capacity: number,
): PublishedRelay {
  const listeners = reportedListeners(report?.listeners)
  return {
    name: relay.name,
    uid: relay.uid,
    ...(node?.zone !== undefined && { zone: node.zone }),
    addresses: relay.addresses.map(({ advertise }) => advertise),
    allocations: allocations ?? 0,
    capacity: report?.capacity ?? capacity,
    ...(listeners.length > 0 && { listeners }),
  }
}

const PROTOCOLS: Readonly<Record<string, PublishedListener['protocol']>> = {
  udp: 'UDP',
  tcp: 'TCP',
  tls: 'TLS',
}

/**
 * What the relay says that it listens on: local relays have ports of their own, and a change takes its time. DTLS
 * is left out: a browser takes `turns:` over UDP for a fault.
 */
function reportedListeners(
  listeners: readonly { protocol: string; port: number; realm?: string | undefined }[] = [],
): PublishedListener[] {
  return listeners.flatMap(({ protocol, port, realm }) => {
    const known = PROTOCOLS[protocol.toLowerCase()]
    return known ? [{ protocol: known, port, ...(realm !== undefined && { realm }) }] : []
  })
}
