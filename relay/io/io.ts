import type { TransportAddress } from '../stun/address.ts'
import type { BindFailure, Link } from '../turn/contract.ts'

/**
 * The I/O layer under one shard: listeners and relay sockets, UDP, TCP and TLS. `io/portable` implements it
 * on node:dgram, node:net and node:tls; another data path drops in by passing `conformance.ts`.
 */

export interface ListenerOptions {
  readonly protocol: 'udp' | 'tcp' | 'tls'
  /** Literal IP address to bind. */
  readonly address: string
  /** 0 lets the system choose; the chosen port is in the result. */
  readonly port: number
}

export interface BoundListener {
  /** Stays the same until `closeListener`; for UDP it is the id of its link. */
  readonly id: number
  readonly protocol: 'udp' | 'tcp' | 'tls'
  readonly address: string
  readonly port: number
}

/** A certificate chain and key, PEM. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
}

/** What the I/O layer says. Every call is synchronous; buffers are valid until it returns. */
export interface IoHandler {
  /** A UDP listener is bound or a stream was accepted (TLS: after its handshake). */
  linkOpened(link: Link): void
  linkClosed(link: number): void
  /** One datagram, or one whole STUN message or ChannelData frame of a stream. */
  clientData(link: number, from: TransportAddress, buffer: Uint8Array, offset: number, length: number): void
  peerData(relay: number, from: TransportAddress, buffer: Uint8Array, offset: number, length: number): void
  relayBound(relay: number): void
  relayBindFailed(relay: number, failure: BindFailure): void
  /** All that arrived together was handed over: drain outputs, set timers. */
  batchEnd(): void
}

/** Counters of what the I/O layer dropped or refused; read by metrics, never reset. */
export interface IoCounters {
  /** Stream frames dropped because a client read too slowly (its queue was full). */
  clientQueueDrops: number
  /** Datagrams the kernel would not take. */
  sendErrors: number
  /** Streams closed because their bytes were neither STUN, ChannelData nor TLS. */
  framingErrors: number
  /** Streams refused or closed by a limit (half-open, idle before the first frame, per address, total). */
  streamsRefused: number
  tlsHandshakeFailures: number
  streamsOpen: number
}

export interface RelayIo {
  readonly counters: Readonly<IoCounters>
  start(handler: IoHandler): void
  /** Rejects with an Error that names the address and what to do (port taken, privilege missing). */
  listen(options: ListenerOptions): Promise<BoundListener>
  /** Stops accepting; established streams stay. */
  closeListener(id: number): Promise<void>
  /** Used for handshakes from now on; a pair that does not load throws and the old one stays. */
  setTls(material: TlsMaterial): void
  /** Binds a UDP relay socket; answered by `relayBound` or `relayBindFailed`, never synchronously. */
  bindRelay(relay: number, bind: TransportAddress, options: { dontFragment: boolean }): void
  closeRelay(relay: number): void
  /** Never throws; what cannot be sent is dropped and counted. The bytes are copied or sent before it returns. */
  sendToClient(link: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void
  sendToPeer(relay: number, to: TransportAddress, buffer: Uint8Array, offset: number, length: number): void
  closeLink(link: number): void
  /** Closes everything; resolves when no handle is left. */
  close(): Promise<void>
}
