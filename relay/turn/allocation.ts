import type { CredentialClaims } from '../api/signed-credential.ts'
import type { AccessToken } from '../stun/access-token.ts'
import type { AddressFamily, TransportAddress } from '../stun/address.ts'
import type { PasswordAlgorithm } from '../stun/password-algorithm.ts'
import type { TransactionWords } from '../stun/writer.ts'
import type { AllocationEvent, AllocationTraffic, Link, RelayTransport } from './contract.ts'
import type { NonceMint } from './nonce.ts'
import { UNTRIED } from './offload.ts'
import type { PeerPolicy, PeerVerdict } from './peer-policy.ts'
import type { QuotaHolder } from './quota.ts'
import type { Realm } from './realm.ts'
import type { RelayAddress } from './relay-ports.ts'
import type { PeerConnection } from './tcp/peer-connection.ts'
import { Timer } from './timer-wheel.ts'
import { TokenBucket } from './token-bucket.ts'

/** A call begins with a burst of permissions: one for each candidate of the other side. */
export const NEW_PEERS_SAVED_SECONDS = 10

/** A relayed transport address of an allocation and the socket behind it (RFC 8656 §6). */
export class RelaySocket {
  /** The I/O layer's number for it. */
  readonly id: number
  readonly allocation: Allocation
  readonly address: RelayAddress
  /** What peers see. */
  readonly relayed: TransportAddress
  bound = false
  /** How often a port was tried, and which kind was asked for. */
  attempts = 1
  choice: 'any' | 'even' | 'even-pair' | 'reserved' = 'any'
  /** Meaningful once the allocation is live. */
  expiresAt = 0

  constructor(id: number, allocation: Allocation, address: RelayAddress, port: number) {
    this.id = id
    this.allocation = allocation
    this.address = address
    this.relayed = address.advertise.clone()
    this.relayed.port = port
  }

  get family(): AddressFamily {
    return this.relayed.family
  }
}

/** What lets data pass between an allocation and one IP address (RFC 8656 §9). */
export class Permission {
  readonly address: TransportAddress
  verdict: PeerVerdict
  expiresAt = 0
  /** Channels that rest on it. */
  channels = 0
  index = -1
  /** Its handle where data passes below the machine. */
  offloaded: number = UNTRIED

  constructor(address: TransportAddress, verdict: PeerVerdict) {
    this.address = address
    this.verdict = verdict
  }
}

/** A channel binding (RFC 8656 §12). */
export class Channel {
  readonly number: number
  readonly peer: TransportAddress
  readonly permission: Permission
  expiresAt = 0
  index = -1
  offloaded: number = UNTRIED

  constructor(number: number, peer: TransportAddress, permission: Permission) {
    this.number = number
    this.peer = peer
    this.permission = permission
  }
}

/** Who asked for an allocation; the password is not kept, only the key (RFC 8656 §6). */
export interface AllocationOwner {
  readonly realm: Realm
  readonly username: string
  /** What quotas are counted by. */
  readonly user: string
  readonly key: Uint8Array
  /**
   * What PASSWORD-ALGORITHM chose; undefined: the client sent none, the key is MD5's and responses carry
   * MESSAGE-INTEGRITY instead of MESSAGE-INTEGRITY-SHA256 (RFC 8489 §9.2.4).
   */
  readonly algorithm: PasswordAlgorithm | undefined
  /** Which shared secret verified the request that made it. */
  readonly keyId: string
  /** What a signed credential says besides. */
  readonly claims: CredentialClaims | undefined
  readonly tenant: string | undefined
  /** The ACCESS-TOKEN that brought the key (RFC 7635). */
  readonly token: AccessToken | undefined
}

/** A request that is answered some time after it came; that of an Allocate again when it comes again (RFC 8656 §7.2). */
export interface RequestTransaction extends TransactionWords {
  readonly hasFingerprint: boolean
}

/** The family of a dual allocation that could not be had (RFC 8656 §18.12). */
export interface AddressError {
  readonly family: AddressFamily
  readonly code: number
}

/** The other half of a mobile client's state (RFC 8016 §3.2.2). */
export interface Mobility {
  /** Which ticket is in force: the number of moves. */
  serial: number
  /** Where the client is moving to: heard there already, answered there once it sends data. */
  next: FiveTuple | undefined
}

/** A way in and the client's address on it (RFC 8656 §3.2). */
export interface FiveTuple {
  readonly link: Link
  readonly client: TransportAddress
}

/** An allocation (RFC 8656 §6), its timer the earliest deadline of all it holds. */
export class Allocation extends Timer {
  readonly id: number
  /** With the client's address the 5-tuple; both change when a mobile client moves. */
  link: Link
  client: TransportAddress
  owner: AllocationOwner
  /** What it counts in. */
  readonly holder: QuotaHolder
  /** Which peers it may have. */
  policy: PeerPolicy
  readonly transaction: RequestTransaction
  readonly lifetimeSeconds: number
  /** What its relayed addresses are for. */
  readonly transport: RelayTransport
  /** The client asked for DONT-FRAGMENT (RFC 8656 §7.2). */
  readonly dontFragment: boolean
  /** Its number in the table. */
  index = -1
  offloaded: number = UNTRIED
  /** True once every relay socket is bound and the client was told. */
  live = false
  openedAt = 0
  /** These four change by replacement: they may be iterated while entries go, and take no spare room. */
  relays: readonly RelaySocket[] = []
  permissions: readonly Permission[] = []
  channels: readonly Channel[] = []
  /** Of a TCP allocation (RFC 6062). */
  connections: readonly PeerConnection[] = []
  /** The client's nonce that was verified last, and by whom. */
  nonce: string | undefined
  nonceMint: NonceMint | undefined
  addressError: AddressError | undefined
  reservationToken: Uint8Array | undefined
  /** Set where the client may move (RFC 8016). */
  readonly mobility: Mobility | undefined
  /** When its timer fires. */
  dueAt = 0
  clientPackets = 0
  clientBytes = 0
  peerPackets = 0
  peerBytes = 0
  readonly byteBucket: TokenBucket
  readonly packetBucket: TokenBucket
  readonly newPeerBucket: TokenBucket

  constructor(
    id: number,
    origin: AllocationOrigin,
    { holder, policy }: AllocationGrounds,
    limits: RateLimits,
  ) {
    super()
    this.id = id
    this.link = origin.link
    this.client = origin.client
    this.owner = origin.owner
    this.holder = holder
    this.policy = policy
    this.transaction = origin.transaction
    this.lifetimeSeconds = origin.lifetimeSeconds
    this.transport = origin.transport
    this.dontFragment = origin.dontFragment
    this.mobility = origin.mobile ? { serial: 0, next: undefined } : undefined
    this.byteBucket = new TokenBucket(this.bytesPerSecond(limits))
    this.packetBucket = new TokenBucket(limits.packetsPerSecondPerAllocation)
    this.newPeerBucket = new TokenBucket(limits.newPeersPerSecondPerAllocation, NEW_PEERS_SAVED_SECONDS)
  }

  relayOf(family: AddressFamily): RelaySocket | undefined {
    for (const relay of this.relays) if (relay.family === family) return relay
    return undefined
  }

  prove(nonce: string, mint: NonceMint): void {
    this.nonce = nonce
    this.nonceMint = mint
  }

  /** Goes on with the key of a newer ACCESS-TOKEN (RFC 7635 §9); who it counts for stays. */
  renew(owner: AllocationOwner): void {
    this.owner = { ...owner, user: this.owner.user }
  }

  isMadeBy(id: TransactionWords): boolean {
    const { id0, id1, id2 } = this.transaction
    return id0 === id.id0 && id1 === id.id1 && id2 === id.id2
  }

  /** The lowest of the relay's limit and the credential's, 0 where there is neither. */
  bytesPerSecond({
    bytesPerSecondPerAllocation: limit,
  }: Pick<RateLimits, 'bytesPerSecondPerAllocation'>): number {
    const claimed = this.owner.claims?.bytesPerSecond
    if (claimed === undefined) return limit
    return limit === 0 ? claimed : Math.min(limit, claimed)
  }

  traffic(now: number): AllocationTraffic {
    const { clientBytes, clientPackets, peerBytes, peerPackets } = this
    return { durationMs: now - this.openedAt, clientBytes, clientPackets, peerBytes, peerPackets }
  }

  event(): AllocationEvent {
    return {
      allocation: this.id,
      link: this.link.id,
      username: this.owner.username,
      keyId: this.owner.keyId,
      realm: this.owner.realm.name,
      transport: this.link.transport,
      client: this.client,
      relayTransport: this.transport,
      relayed: this.relays.map((relay) => relay.relayed),
    }
  }
}

export interface AllocationOrigin {
  readonly link: Link
  readonly client: TransportAddress
  readonly owner: AllocationOwner
  readonly transaction: RequestTransaction
  readonly lifetimeSeconds: number
  readonly transport: RelayTransport
  readonly dontFragment: boolean
  /** The client asked for a MOBILITY-TICKET. */
  readonly mobile: boolean
}

/** What an allocation was granted on. */
export interface AllocationGrounds {
  readonly holder: QuotaHolder
  readonly policy: PeerPolicy
}

export interface RateLimits {
  readonly bytesPerSecondPerAllocation: number
  readonly packetsPerSecondPerAllocation: number
  readonly newPeersPerSecondPerAllocation: number
}
