import type { AllocationEventJson } from '../../relay/api/allocation-events.ts'
import type { RelayAddress } from '../../relay/api/config.ts'
import type { KeyRingFile, SharedKey } from '../../relay/api/credentials-config.ts'
import type { Directives, LoadReport } from '../../relay/api/load-report.ts'
import type { RevocationList } from '../../relay/api/revocations.ts'
import type { TurnCluster, TurnClusterStatus } from '../api/turn-cluster.ts'

/**
 * The words that the operator's rooms speak to each other: what a driver observes of the world, what the plan
 * decides, and what a driver does. `operator/kube` drives Kubernetes, `operator/local` child processes.
 */

/** `namespace/name` of a TurnCluster. */
export type ClusterKey = string

export interface ObservedRelay {
  /** `<cluster>-<ordinal>-<revision>`: deterministic, so that a stale cache cannot create a second one. */
  name: string
  uid: string
  ordinal: number
  revision: string
  createdAtMs: number
  node?: string
  phase: 'Pending' | 'Running' | 'Ended'
  /** Its own readiness probe passes. */
  ready: boolean
  /** Deletion has been asked for. */
  terminating: boolean
  /** Why it does not run, in Kubernetes' words (ImagePullBackOff, Unschedulable, CrashLoopBackOff, …). */
  trouble?: { reason: string; message: string }
  /** What the operator has written on it. */
  addresses: RelayAddress[]
  /** Set by `drain` (with the reason of the action) or by a person; survives an operator restart. */
  drain?: { sinceMs: number; reason: string }
}

export interface ObservedNode {
  name: string
  ready: boolean
  /** Why no relay may stay here (cordoned, autoscaler or spot taint), undefined where it may. */
  leaving?: string
  zone?: string
  /** Value of `turnfleet.dev/public-address`: addresses separated by commas. */
  annotatedAddresses: string[]
  externalAddresses: string[]
  internalAddresses: string[]
}

/** A Secret as the operator judges it; `malformed` keeps the last good content in force on the relays. */
export type Judged<T> =
  | { state: 'absent' }
  | { state: 'malformed'; message: string }
  | { state: 'valid'; value: T; contentHash: string }

export interface KeyRing {
  keys: SharedKey[]
  nonceKeys: SharedKey[]
  /** Of third-party authorization (RFC 7635). */
  tokenKeys?: KeyRingFile['tokenKeys']
}

export interface TlsCertificate {
  names: string[]
  notAfterMs: number
  fingerprint: string
}

export interface RelayLoad {
  report: LoadReport
  receivedAtMs: number
}

/** The result of allocating, permitting and echoing through a relay's public address. */
export interface RelayCheck {
  state: 'running' | 'passed' | 'failed'
  atMs: number
  /** The address that was checked; another one must be checked anew. */
  address: string
  message: string
}

/** What lies behind the walls that relays stand in: no peer of their clients. */
export interface ClusterNetworks {
  /** CIDRs of pods and Services. */
  internal: string[]
  /** Addresses of nodes, of which the ports that relays give out are peers. */
  nodes: string[]
  /** Why some of it is not known, as a sentence. */
  missing?: string
}

/** Everything the decisions are made from; one function reads it, none reads more. */
export interface ObservedCluster {
  key: ClusterKey
  cluster: TurnCluster
  /** Hash of what a relay cannot take over live: relays of another revision are replaced. */
  revision: string
  relays: ObservedRelay[]
  /** Every node, also those that no relay may run on; empty where they cannot be read. */
  nodes: ObservedNode[]
  /** Objects of the relays' names that we do not own: reported, never overwritten. */
  foreign: string[]
  keyRing: Judged<KeyRing>
  /** Undefined where the spec asks for no TLS. */
  tls?: Judged<TlsCertificate>
  /** By relay uid. */
  loads: ReadonlyMap<string, RelayLoad>
  checks: ReadonlyMap<string, RelayCheck>
  /** Absent: there is no cluster around the relays, as in standalone mode. */
  networks?: ClusterNetworks
  /** Undefined: what keeps them cannot be read; what is known stays in force. */
  revocations?: RevocationList | undefined
  /** Hash of the relay configuration in force, undefined when it was never written. */
  configHash?: string
  /** Hash of the relay configuration that the spec asks for (`operator/specs` makes both). */
  desiredConfigHash: string
}

/** A relay whose listeners another one takes, on the same node and at the same addresses. */
export interface Succession {
  relay: string
  node: string
  addresses: RelayAddress[]
}

/** One step with its reason; `reason` is a CamelCase word for Events, `message` a sentence. */
export type Action = { reason: string; message: string } & (
  | { kind: 'create-key-ring' }
  | { kind: 'write-config' }
  | { kind: 'create-relay'; name: string; ordinal: number; succeeds?: Succession | undefined }
  | { kind: 'publish-addresses'; relay: string; uid: string; addresses: RelayAddress[] }
  | { kind: 'check-relay'; relay: string; uid: string; address: string }
  | { kind: 'drain'; relay: string; uid: string }
  | { kind: 'undrain'; relay: string; uid: string }
  /** `uid` is a precondition of the deletion. */
  | { kind: 'delete-relay'; relay: string; uid: string; forced: boolean }
)

/** The hands of the reconcile loop. */
export interface Driver {
  /** Undefined: the cluster is gone. */
  observe(key: ClusterKey): Promise<ObservedCluster | undefined>
  /** Performs one action; throws to be tried again with back-off. */
  apply(observed: ObservedCluster, action: Action): Promise<void>
  /** Writes only when it differs from what is stored. */
  writeStatus(observed: ObservedCluster, status: TurnClusterStatus): Promise<void>
}

/** A relay that clients may be sent to. */
export interface PublishedRelay {
  name: string
  uid: string
  zone?: string
  /** Literal public addresses. */
  addresses: string[]
  allocations: number
  capacity: number
  /**
   * What this relay itself reports to listen on, where it differs from the cluster's: relays that share a
   * machine shift their ports, and a relay of an older revision keeps its own.
   */
  listeners?: PublishedListener[]
}

export interface PublishedListener {
  protocol: 'UDP' | 'TCP' | 'TLS'
  port: number
  /** The further realm that it challenges for; absent: the default one. */
  realm?: string
}

/** What the credentials endpoint serves of one cluster; replaced whole after each reconcile. */
export interface PublishedCluster {
  key: ClusterKey
  realm: string
  /** Further realms that it has. */
  realms: readonly string[]
  ttlSeconds: number
  listeners: PublishedListener[]
  /** Host name for `turns:` URLs; `{address}` in it stands for the dashed address; undefined: the address itself. */
  tlsName?: string
  keyRing: KeyRing | undefined
  /** Names of peer policies that its credentials may carry. */
  peerPolicies: readonly string[]
  /** Ready relays only. */
  relays: PublishedRelay[]
}

/** What happened to an allocation on a relay, or how many such events were lost; of all relays where none is named. */
export type FleetEvent =
  | ({ relay: string } & AllocationEventJson)
  | { kind: 'gap'; relay?: string; dropped: number }

/** `operator/fleet`: memory of what relays report, and of what they are to be told. */
export interface Fleet {
  /** Stores a report and answers with the directives in force for that relay. */
  report(report: LoadReport, nowMs: number): Directives
  loads(key: ClusterKey): ReadonlyMap<string, RelayLoad>
  checks(key: ClusterKey): ReadonlyMap<string, RelayCheck>
  /** Starts a check unless one runs for that relay and address; `onChange` fires when it ends. */
  startCheck(key: ClusterKey, uid: string, address: string): void
  /** Whose credentials the relays of the cluster refuse; undefined: not known yet, and nothing is said of it. */
  revocations(key: ClusterKey): RevocationList | undefined
  /** Calls the reader with allocation events of a cluster's relays until the returned function is called. */
  readEvents(key: ClusterKey, reader: (event: FleetEvent) => void): () => void
  /** Takes a list unless a newer one is known; relays that have another get it with their next report. */
  setRevocations(key: ClusterKey, list: RevocationList): void
  setDirectives(key: ClusterKey, byUid: ReadonlyMap<string, Directives>): void
  publish(cluster: PublishedCluster): void
  published(key: ClusterKey): PublishedCluster | undefined
  publishedKeys(): ClusterKey[]
  forget(key: ClusterKey): void
  /** Called with the key when a report or a check changes what the plan may decide. */
  onChange(listener: (key: ClusterKey) => void): void
}
