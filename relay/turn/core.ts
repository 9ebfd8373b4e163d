import type { ServerCrypto } from '../stun/crypto.ts'
import { StunReader } from '../stun/reader.ts'
import { readUint32 } from '../stun/wire.ts'
import { StunWriter } from '../stun/writer.ts'
import type { Allocation } from './allocation.ts'
import { AllocationTable } from './allocation-table.ts'
import type { Link } from './contract.ts'
import { TurnCounters } from './counters.ts'
import type { OtherRelay } from './drain.ts'
import { knownAttributes } from './known-attributes.ts'
import type { LoopPlace } from './loops.ts'
import { TicketMint } from './mobility-ticket.ts'
import { NatDiscovery } from './nat-discovery.ts'
import { NonceMint } from './nonce.ts'
import type { Offload } from './offload.ts'
import { Offloading } from './offloading.ts'
import { OutputQueue } from './output-queue.ts'
import { PeerPolicies } from './peer-policies.ts'
import { isPeerRefusal } from './peer-policy.ts'
import { type AllocationQuota, LocalQuota } from './quota.ts'
import { Realm } from './realm.ts'
import { type PortMap, RelayAddress } from './relay-ports.ts'
import { type Reservation, Reservations } from './reservations.ts'
import { Revocations } from './revocations.ts'
import type { RelayAddressPair, TurnServerConfig } from './server-config.ts'
import { SourceBudget } from './source-budget.ts'
import type { PeerConnection } from './tcp/peer-connection.ts'
import { PeerConnections } from './tcp/peer-connections.ts'
import { peerRefusal } from './tcp/tcp-peer.ts'
import { TimerWheel } from './timer-wheel.ts'
import { TokenBucket } from './token-bucket.ts'

const ENCODER = new TextEncoder()
const NONCE_KEY_BYTES = 32
const RESPONSE_BYTES_MAX = 2048
/** Responses that share a buffer: about a hundred. */
const RESPONSE_SLAB_BYTES = 8192
/** A client that refreshes at the last moment keeps its allocation: up to a twentieth of the lifetime, 30 seconds at most. */
const GRACE_SHARE = 20
const GRACE_MS_MAX = 30_000

export interface CoreOptions {
  readonly config: TurnServerConfig
  readonly crypto: ServerCrypto
  /** Shared by the shards of one relay; absent: this machine's own. */
  readonly quota?: AllocationQuota
  /** The ports in use on an address, on memory that the shards of one relay share; absent: this machine's own. */
  readonly portMap?: (address: RelayAddressPair) => PortMap
  /** What this machine writes into the port maps for a port that it holds, 1 to 255; absent: 1. */
  readonly portHolder?: number
  /** Absent: the relay has this machine alone. */
  readonly loops?: LoopPlace | undefined
  /** Whether the I/O layer's relay sockets can send with the DF bit set; absent: they cannot. */
  readonly dontFragment?: boolean
  /** Whether the I/O layer has TCP relay sockets (RFC 6062); absent: it has not. */
  readonly tcpPeers?: boolean
  /** What forwards application data below this machine; absent: nothing does. */
  readonly offload?: Offload | undefined
}

/** What the handlers of a TURN server share: configuration, live state, counters and outputs. */
export class TurnCore {
  readonly crypto: ServerCrypto
  readonly counters = new TurnCounters()
  readonly outputs = new OutputQueue()
  readonly reader = new StunReader()
  readonly writer = new StunWriter(RESPONSE_BYTES_MAX, RESPONSE_SLAB_BYTES)
  readonly links = new Map<number, Link>()
  readonly offloading: Offloading | undefined
  readonly table: AllocationTable
  readonly timers = new TimerWheel<Allocation | Reservation | PeerConnection>()
  readonly reservations: Reservations
  readonly connections = new PeerConnections(this)
  readonly quota: AllocationQuota
  readonly unauthenticated: TokenBucket
  readonly unauthenticatedBySource: SourceBudget
  readonly loops: LoopPlace
  /** What is passed on to other loops. */
  readonly passes = new TokenBucket(0)
  readonly passesBySource: SourceBudget
  knownAttributes: ReadonlySet<number>
  /** Where new clients are sent while draining, best first. */
  alternates: readonly OtherRelay[] = []
  draining = false
  /** Somebody reads of refreshes. */
  observed = false
  revocations = new Revocations([])
  /** Unix milliseconds less the monotonic clock. */
  wallClockOffsetMs = 0
  config: TurnServerConfig
  policies: PeerPolicies
  /** The default one first. */
  realms: readonly Realm[]
  nonces: NonceMint
  tickets: TicketMint
  natDiscovery: NatDiscovery
  addresses: readonly RelayAddress[] = []
  readonly #portMap: CoreOptions['portMap']
  readonly #dontFragment: boolean
  readonly #portHolder: number | undefined
  readonly #ownNonceKey: Uint8Array
  readonly #instance: number
  readonly #tcpPeers: boolean

  constructor(options: CoreOptions) {
    const { config, crypto } = options
    this.crypto = crypto
    this.#dontFragment = options.dontFragment ?? false
    this.#tcpPeers = options.tcpPeers ?? false
    this.config = config
    this.quota = options.quota ?? new LocalQuota()
    this.#portMap = options.portMap
    this.#portHolder = options.portHolder
    this.#ownNonceKey = crypto.randomBytes(NONCE_KEY_BYTES)
    const seeds = crypto.randomBytes(20)
    this.#instance = readUint32(seeds, 8)
    this.loops = options.loops ?? { relay: readUint32(seeds, 12), own: 1, count: 1 }
    this.offloading = options.offload && new Offloading(this, options.offload)
    this.table = new AllocationTable(readUint32(seeds, 0), this.offloading)
    this.unauthenticatedBySource = new SourceBudget(readUint32(seeds, 4))
    this.passesBySource = new SourceBudget(readUint32(seeds, 16))
    this.reservations = new Reservations(crypto, this.loops)
    this.unauthenticated = new TokenBucket(config.limits.unauthenticatedResponsesPerSecond)
    this.realms = this.#makeRealms(config)
    this.knownAttributes = this.#knownAttributes()
    this.policies = this.#makePolicies(config)
    this.nonces = this.#makeNonces(config)
    this.tickets = this.#makeTickets(config)
    this.natDiscovery = new NatDiscovery(config.natDiscovery, this.links.values())
    this.addresses = this.#makeAddresses(config.relayAddresses)
  }

  /** Puts a new configuration in force, all of it or, where it throws, none. */
  reconfigure(config: TurnServerConfig): void {
    const realms = this.#makeRealms(config)
    const policies = this.#makePolicies(config)
    this.realms = realms
    this.knownAttributes = this.#knownAttributes()
    this.policies = policies
    this.nonces = this.#makeNonces(config)
    this.tickets = this.#makeTickets(config)
    this.natDiscovery = new NatDiscovery(config.natDiscovery, this.links.values())
    this.addresses = this.#makeAddresses(config.relayAddresses)
    this.config = config
    for (const allocation of this.table.all()) this.#judgeAgain(allocation)
  }

  unixSeconds(now: number): number {
    return (now + this.wallClockOffsetMs) / 1000
  }

  /** Whether TCP allocations are granted (RFC 6062). */
  get relaysTcp(): boolean {
    return this.#tcpPeers && this.config.tcpPeers
  }

  get graceMs(): number {
    return Math.min(GRACE_MS_MAX, (this.config.limits.allocationLifetimeSeconds * 1000) / GRACE_SHARE)
  }

  #makeRealms({ realms }: TurnServerConfig): readonly Realm[] {
    return realms.map((options) => new Realm(this.crypto, options))
  }

  #knownAttributes(): ReadonlySet<number> {
    return knownAttributes(
      this.#dontFragment,
      this.realms.some(({ thirdParty }) => thirdParty),
    )
  }

  #makePolicies({ peers, peerPolicies }: TurnServerConfig): PeerPolicies {
    return new PeerPolicies(peers, peerPolicies, (peer) =>
      this.addresses.some((address) => address.has(peer) && address.isHeld(peer.port)),
    )
  }

  #makeNonces(config: TurnServerConfig): NonceMint {
    return new NonceMint(this.crypto, this.#nonceKeys(config), config.limits.nonceLifetimeSeconds)
  }

  #makeTickets(config: TurnServerConfig): TicketMint {
    return new TicketMint(this.crypto, this.#nonceKeys(config), this.loops, this.#instance)
  }

  #nonceKeys({ nonceKeys }: TurnServerConfig): readonly Uint8Array[] {
    const keys = nonceKeys.map(({ secret }) => ENCODER.encode(secret))
    return keys.length > 0 ? keys : [this.#ownNonceKey]
  }

  /** An address that stays keeps its ports. */
  #makeAddresses(pairs: readonly RelayAddressPair[]): RelayAddress[] {
    return pairs.map((pair) => {
      const kept = this.addresses.find(
        (old) => old.bind.sameIp(pair.bind) && old.advertise.sameIp(pair.advertise),
      )
      return kept ?? new RelayAddress(pair.bind, pair.advertise, this.#portMap?.(pair), this.#portHolder)
    })
  }

  /** What was permitted before the peer policy changed is judged by the new one. */
  #judgeAgain(allocation: Allocation): void {
    const policy = this.policies.of(allocation.owner)
    allocation.policy = policy
    for (const permission of allocation.permissions) permission.verdict = policy.judge(permission.address)
    for (const channel of allocation.channels) {
      const { verdict } = channel.permission
      if (isPeerRefusal(verdict) || !policy.admits(verdict, channel.peer)) {
        this.table.removeChannel(allocation, channel)
      }
    }
    for (const permission of allocation.permissions) {
      if (isPeerRefusal(permission.verdict)) this.table.removePermission(allocation, permission)
    }
    this.offloading?.renew(allocation)
    for (const connection of allocation.connections) {
      if (peerRefusal(this, allocation, connection.peer)) this.connections.end(connection, 'closed')
    }
  }
}
