import type { AddressFamily, TransportAddress } from '../stun/address.ts'
import type { PeerExplanation } from './peer-policy.ts'
import type { RefusalReason } from './refusals.ts'

/**
 * What the TURN state machine says to its I/O shell and hears from it. The machine is sans-IO: bytes,
 * addresses and a time go in; a reused `Forward` (the packet path) and a queue of `Output`s (all else) come
 * out. Times are milliseconds of one monotonic clock.
 */

export { HEAD_ROOM_BYTES, TAIL_ROOM_BYTES } from '../stun/rooms.ts'

/** How a client reaches the relay. */
export type ClientTransport = 'udp' | 'tcp' | 'tls' | 'dtls'

/** Whether clients come by it as streams, one connection each. */
export function isStream(transport: ClientTransport): boolean {
  return transport === 'tcp' || transport === 'tls'
}

/** What relayed addresses are for: UDP (RFC 8656), or TCP (RFC 6062). */
export type RelayTransport = 'udp' | 'tcp'

/** Which end of two bound data connections bytes came from. */
export type DataSource = 'client' | 'peer'

/**
 * A way in for clients: one UDP listener (many clients), or one accepted stream connection (one client).
 * With the client's address it is the 5-tuple of RFC 8656 §3.2.
 */
export interface Link {
  /** Chosen by the I/O layer, unique for the life of the process, below 2^31. */
  readonly id: number
  readonly transport: ClientTransport
  /** The address that clients connect to; its family is the default family of relayed addresses. */
  readonly local: TransportAddress
  /** The client of a stream; undefined for a UDP listener. */
  readonly remote: TransportAddress | undefined
  /** What comes by it passed a balancer that speaks for its clients (PROXY protocol). */
  readonly proxied?: boolean
  /** Whether a client that comes by it can be given to another event loop of this relay. */
  readonly movable?: boolean
  /** The name that a client of TLS or DTLS asked for (server_name, RFC 6066 §3). */
  readonly serverName?: string | undefined
}

/** Where a packet goes on; one instance is reused, valid until the next call. The buffer is the one handed in. */
export interface Forward {
  /** `peer`: send from relay socket `socket`; `client`: send on link `socket`. */
  target: 'peer' | 'client'
  socket: number
  readonly to: TransportAddress
  offset: number
  length: number
}

/** Why a relay socket could not be bound. */
export type BindFailure = 'port-in-use' | 'unavailable'

/** Why an allocation ended. */
export type AllocationEnd =
  | 'refresh-zero'
  | 'expired'
  | 'link-closed'
  | 'revoked'
  | 'relay-failed'
  | 'shutdown'

export interface AllocationEvent {
  /** Process-unique number of the allocation. */
  readonly allocation: number
  /** The link of its client. */
  readonly link: number
  readonly username: string
  /** The id of the shared secret that verified the client, or `static`. */
  readonly keyId: string
  readonly realm: string
  readonly transport: ClientTransport
  readonly client: TransportAddress
  readonly relayTransport: RelayTransport
  readonly relayed: readonly TransportAddress[]
}

/** What an allocation has carried since it was opened. */
export interface AllocationTraffic {
  readonly durationMs: number
  readonly clientBytes: number
  readonly clientPackets: number
  readonly peerBytes: number
  readonly peerPackets: number
}

/** A request was refused: one line of log and one counter. */
export interface Refused {
  readonly kind: 'refused'
  readonly method: string
  readonly code: number
  readonly reason: RefusalReason
  readonly transport: ClientTransport | undefined
  readonly client: TransportAddress
  /** Whose request it was; undefined: it proved no credentials. Text of a client. */
  readonly user: string | undefined
  /** Of a 403: the peer, and the rule of the peer policy that refuses it. */
  readonly peer: (PeerExplanation & { readonly address: TransportAddress }) | undefined
}

export type Output =
  /** Send `bytes` to `to` on a link (a response or an indication; owned by the receiver). */
  | { kind: 'transmit'; link: number; to: TransportAddress; bytes: Uint8Array }
  /**
   * Bind a relay socket; answer with `relayBound` or `relayBindFailed`. With `dontFragment`, what it sends
   * has the DF bit set (RFC 8656 §14); a TCP one listens (RFC 6062 §5.1): asked for only of an I/O layer that can.
   */
  | {
      kind: 'bind-relay'
      relay: number
      family: AddressFamily
      bind: TransportAddress
      transport: RelayTransport
      dontFragment: boolean
    }
  | { kind: 'close-relay'; relay: number }
  /**
   * Open a TCP connection from the address and port of a TCP relay socket (RFC 6062 §5.2); answer with
   * `peerConnected` or `peerClosed`. Nothing is read from it before `splice`.
   */
  | { kind: 'connect-peer'; connection: number; relay: number; to: TransportAddress }
  /**
   * Let bytes pass as they are between a peer's connection and a stream of a client (RFC 6062 §5.4), those
   * included that have come on either already; ask `handleSplicedData` for what is read. When one is closed, the
   * other is, once what came before was delivered.
   */
  | { kind: 'splice'; connection: number; link: number }
  /** End a connection to or from a peer, whatever its state. */
  | { kind: 'close-peer'; connection: number }
  /** A stream whose client moves an allocation to it or away from it (RFC 8016): it is not closed for being idle while in use. */
  | { kind: 'link-in-use'; link: number; inUse: boolean }
  /** End a stream connection. */
  | { kind: 'close-link'; link: number }
  /**
   * Give the client of a `movable` link to another event loop of this relay, which is to hear its request as if it
   * had come there (`bytes`; owned by the receiver).
   */
  | { kind: 'pass'; loop: number; link: number; client: TransportAddress; bytes: Uint8Array }
  | { kind: 'allocation-opened'; at: number; allocation: AllocationEvent }
  /** Only while somebody asks (`setObserved`). */
  | ({
      kind: 'allocation-refreshed'
      at: number
      allocation: AllocationEvent
      lifetimeSeconds: number
    } & AllocationTraffic)
  | ({
      kind: 'allocation-closed'
      at: number
      allocation: AllocationEvent
      reason: AllocationEnd
    } & AllocationTraffic)
  | Refused

/** The state machine as its shell sees it. */
export interface TurnMachine {
  addLink(link: Link): void
  /** The clients of a UDP link who have an allocation, or are moving one there. */
  clientsOf(link: number): readonly TransportAddress[]
  /** Whether it has an allocation on this link, or is moving one there. O(1). */
  hasClient(link: number, client: TransportAddress): boolean
  /** A stream ended or a listener closed: its allocations go. */
  removeLink(link: number, now: number): void
  /**
   * One datagram or one whole stream frame from a client, at `buffer[offset, offset + length)`, with
   * HEAD_ROOM_BYTES before and TAIL_ROOM_BYTES behind. Returns where to send what is now at the returned
   * range of the same buffer, or undefined. `from` is not kept.
   */
  handleClientData(
    link: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined
  /** One datagram from a peer at a relay socket. */
  handlePeerData(
    relay: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined
  /**
   * An ICMP error for what a relay socket sent to `peer`, whose port is 0 where it is not known: `mtu` is that
   * of the next hop, 0 where the error names none (RFC 8656 §11.5).
   */
  handlePeerError(
    relay: number,
    peer: TransportAddress,
    icmpType: number,
    icmpCode: number,
    mtu: number,
    now: number,
  ): void
  relayBound(relay: number, now: number): void
  relayBindFailed(relay: number, failure: BindFailure, now: number): void
  /** A connection that a peer makes to a TCP relay socket: its number from now on, or undefined: close it at once. */
  handlePeerConnection(relay: number, from: TransportAddress, now: number): number | undefined
  peerConnected(connection: number, now: number): void
  /** A connection could not be made, or the peer has ended it. */
  peerClosed(connection: number, now: number): void
  /** Bytes that were read from one end of a splice for the other; returns from when on more may be read from it. */
  handleSplicedData(connection: number, source: DataSource, bytes: number, now: number): number
  /** The next moment `handleTimeout` has work, or Infinity. O(1). */
  pollTimeout(): number
  handleTimeout(now: number): void
  /** The next output, or undefined when the queue is empty. */
  nextOutput(): Output | undefined
  /** `unixMs - now`: what to add to the monotonic clock to get wall time (credential expiry, nonces). */
  setWallClockOffset(offsetMs: number): void
}
