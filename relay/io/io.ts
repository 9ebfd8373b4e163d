import type { TransportAddress } from '../stun/address.ts'
import type { BindFailure, Link } from '../turn/contract.ts'
import type { Offload } from '../turn/offload.ts'
import type { Adoption } from './adoption.ts'
import type { ListenerHandOver } from './hand-over.ts'
import type { TcpPeerHandler, TcpPeers } from './tcp-peers.ts'

/**
 * The I/O layer under one shard: listeners and relay sockets, UDP, TCP and TLS. `io/portable` implements it
 * on node:dgram, node:net and node:tls; another data path drops in by passing `conformance.ts`.
 */

/** What clients speak; a tls listener takes plain TCP as well, a dtls listener may share its port with a udp one. */
type ListenerProtocol = 'udp' | 'tcp' | 'tls' | 'dtls'

export interface ListenerOptions {
  readonly protocol: ListenerProtocol
  /** Literal IP address to bind. */
  readonly address: string
  /** 0 lets the system choose; the chosen port is in the result. */
  readonly port: number
  /** Balancers that put a PROXY protocol header (version 2) in front: addresses and CIDR blocks. Absent: none. */
  readonly proxyFrom?: readonly string[]
  /**
   * Several event loops of one process have a socket each on the same port (SO_REUSEPORT): `first` opens it where
   * nobody has it, `joined` beside those. Absent: it is not shared. Only an I/O layer with `sharedPorts` heeds it.
   */
  readonly shared?: 'first' | 'joined'
  /** Clients of a relay before have sockets of their own on that address and port, which are to go before this one. */
  readonly besideClients?: boolean
  /**
   * The descriptors of bound sockets that are used instead of a new one: those of an event loop that is no more, or of
   * the relay before.
   */
  readonly descriptors?: readonly number[]
}

export interface BoundListener {
  /** Stays the same until `closeListener`; for UDP it is the id of its link. */
  readonly id: number
  readonly protocol: ListenerProtocol
  readonly address: string
  readonly port: number
  /** Where `sharedPorts`: the sockets, which another event loop can take over. */
  readonly descriptors?: readonly number[]
}

/** What handshakes are made with. */
export interface TlsMaterial {
  /** The chain, PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** Relays with the same one take each other's session tickets; absent: nobody else's. */
  readonly ticketSecret?: string | undefined
}

/** What bounds the streams of clients that have proved nothing yet, and DTLS sessions in the same way. */
export interface StreamLimits {
  readonly total: number
  readonly perAddress: number
  /** Of these, streams that have never been in use (`setLinkInUse`); 0 is no limit. */
  readonly halfOpenPerAddress: number
  /** From the accept to the first whole message, the TLS handshake included. */
  readonly firstMessageSeconds: number
  /** A stream that is not in use (`setLinkInUse`) and sends no whole message for so long is closed. */
  readonly idleSeconds: number
  /** Media that may wait for a client that reads slowly; beyond it the oldest is dropped. */
  readonly queueBytes: number
}

/** In force until `setStreamLimits` is called. */
export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  total: 10_000,
  perAddress: 500,
  halfOpenPerAddress: 200,
  firstMessageSeconds: 10,
  idleSeconds: 60,
  queueBytes: 1_048_576,
}

/**
 * What the I/O layer says. Every call is synchronous; buffers are valid until it returns, and have
 * HEAD_ROOM_BYTES before and TAIL_ROOM_BYTES behind the given range.
 */
export interface IoHandler extends TcpPeerHandler {
  /** A UDP listener is bound, or a stream or DTLS session has sent its first whole message. */
  linkOpened(link: Link): void
  linkClosed(link: number): void
  /**
   * One datagram, or one whole STUN message or ChannelData frame of a stream. After a ConnectionBind request on a
   * stream comes `batchEnd` before anything else of it, as bytes behind it may not be frames (RFC 6062 §5.4).
   * `trafficClass` is what it may go on with (`traffic-class.ts`): 0 for what came by a stream.
   */
  clientData(
    link: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void
  peerData(
    relay: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass: number,
  ): void
  /** An ICMP error for what a relay socket sent; see `TurnMachine.handlePeerError`. Not every I/O layer hears of them. */
  peerError?(relay: number, peer: TransportAddress, icmpType: number, icmpCode: number, mtu: number): void
  /** Whether it has an allocation on a link, or moves one there. */
  hasClient?(link: number, client: TransportAddress): boolean
  relayBound(relay: number): void
  relayBindFailed(relay: number, failure: BindFailure): void
  /** The clients of a UDP listener who have an allocation, for a hand-over. */
  clientsOf?(link: number): readonly TransportAddress[]
  /** The moment of `wakeAt` has come. */
  wake(): void
  /** All that arrived together was handed over, `wake` included: drain outputs, set the next `wakeAt`. */
  batchEnd(): void
}

/** Which limit of `StreamLimits` ended a stream before it was of use: all, of its address, half-open ones, in time. */
export type StreamRefusal = 'total' | 'address' | 'half-open' | 'first-message'

/** Counters of what the I/O layer dropped or refused; read by metrics, never reset. */
export interface IoCounters {
  /** Stream frames dropped because a client read too slowly (its queue was full). */
  clientQueueDrops: number
  /** ICMP errors that were not handed on, as they were too many for one relay socket. */
  peerErrorsDropped: number
  /** Datagrams the kernel would not take. */
  sendErrors: number
  /** Streams closed because their bytes were neither STUN, ChannelData nor TLS. */
  framingErrors: number
  /** Streams refused or closed by a limit. */
  readonly streamsRefused: Record<StreamRefusal, number>
  tlsHandshakeFailures: number
  /** Datagrams dropped and streams closed because a balancer put no valid PROXY protocol header in front. */
  proxyHeadersRefused: number
  streamsOpen: number
  dtlsSessionsOpen: number
}

export function newIoCounters(): IoCounters {
  return {
    clientQueueDrops: 0,
    peerErrorsDropped: 0,
    sendErrors: 0,
    framingErrors: 0,
    streamsRefused: { total: 0, address: 0, 'half-open': 0, 'first-message': 0 },
    tlsHandshakeFailures: 0,
    proxyHeadersRefused: 0,
    streamsOpen: 0,
    dtlsSessionsOpen: 0,
  }
}

/** What the kernel may hold of a listener's datagrams while the loop is busy; the system's own limit caps it. */
export const LISTENER_BUFFER_BYTES = 4_194_304
/** The same for one relay socket. */
export const RELAY_BUFFER_BYTES = 524_288

export interface RelayIo {
  readonly counters: Readonly<IoCounters>
  /** Whether `listen` heeds `shared`; absent: it does not. */
  readonly sharedPorts?: boolean
  /** Whether `bindRelay` heeds `dontFragment`; absent: it does not. */
  readonly dontFragment?: boolean
  /** Whether `peerError` is called; absent: this I/O layer does not hear of ICMP errors. */
  readonly peerErrors?: boolean
  /** Whether datagrams come and go with a traffic class; absent: it is always 0. */
  readonly trafficClass?: boolean
  /** TCP relay sockets (RFC 6062); absent: there are none. */
  readonly tcpPeers?: TcpPeers
  /** Whether it serves dtls listeners; absent: it does not. */
  readonly dtls?: boolean
  /** Hands listeners over to another process; absent: this layer cannot. */
  readonly handOver?: ListenerHandOver | undefined
  /** Lets clients go to another event loop of this process; absent: this layer cannot. */
  readonly adoption?: Adoption | undefined
  /** What forwards application data below the state machine, where this layer has such a thing. */
  readonly offload?: Offload
  start(handler: IoHandler): void
  /** Milliseconds of a monotonic clock; the same throughout a batch where reading it costs. */
  now(): number
  /**
   * Calls `wake` at `atMs` of `now()` (replaces the last call; Infinity: never). The I/O layer owns the timer
   * because a synchronous loop has none but the timeout of its wait.
   */
  wakeAt(atMs: number): void
  /** Gives the system back what native code has freed, without waiting; to be called now and then. */
  trimHeap?(): void
  /** For streams accepted from now on. */
  setStreamLimits(limits: StreamLimits): void
  /** Whether datagrams go on with the DSCP that they came with, from now on; they do unless this is called. */
  keepDscp?(kept: boolean): void
  /** Rejects with an Error that names the address and what to do (port taken, privilege missing). */
  listen(options: ListenerOptions): Promise<BoundListener>
  /** Stops accepting; established streams stay. */
  closeListener(id: number): Promise<void>
  /** Used for handshakes from now on; a pair that does not load throws and the old one stays. */
  setTls(material: TlsMaterial): void
  /** Binds a UDP relay socket; answered by `relayBound` or `relayBindFailed`, never synchronously. */
  bindRelay(relay: number, bind: TransportAddress, options: { dontFragment: boolean }): void
  closeRelay(relay: number): void
  /**
   * Never throws; what cannot be sent is dropped and counted. The bytes are copied or sent before it returns.
   * `trafficClass` (absent: 0) is that of a datagram; streams have none.
   */
  sendToClient(
    link: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass?: number,
  ): void
  sendToPeer(
    relay: number,
    to: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    trafficClass?: number,
  ): void
  /** Ends a stream after what is queued for it was sent or a short grace is over. */
  closeLink(link: number): void
  /** A stream that carries an allocation is not closed for being idle. */
  setLinkInUse(link: number, inUse: boolean): void
  /** Closes everything; resolves when no handle is left. */
  close(): Promise<void>
}
