import type { TransportAddress } from '../stun/address.ts'
import type { DataSource } from '../turn/contract.ts'

/**
 * The TCP side of relay sockets (RFC 6062), which an I/O layer may have. A connection to or from a peer is a
 * number that the state machine gave. Nothing is read from one before it is spliced, so that what its peer sends
 * early waits in the system's buffer, whose end the peer sees.
 */
export interface TcpPeers {
  /** Listens; answered by `relayBound` or `relayBindFailed`, never synchronously. `closeRelay` ends it. */
  listen(relay: number, bind: TransportAddress): void
  /**
   * Connects from the address of a relay socket and, where the system lets it, from its port; answered by
   * `peerConnected` or `peerClosed`, never synchronously.
   */
  connect(connection: number, relay: number, to: TransportAddress): void
  /**
   * From now on bytes pass as they are between a peer and a client's stream: first those that came with the
   * client's last frame or wait at the peer's. What one side is slow to take is not read from the other. The end
   * of either, `close` and `closeLink` deliver what was read before, within a grace, and close both.
   */
  splice(connection: number, link: number): void
  /** Ends a connection; it is not heard of any more. */
  close(connection: number): void
}

/** What the I/O layer says of them; part of `IoHandler`. */
export interface TcpPeerHandler {
  /** A peer connects to a relay socket: the number of its connection, or undefined to close it at once. */
  peerConnection(relay: number, from: TransportAddress): number | undefined
  peerConnected(connection: number): void
  /** It could not be made, or it ended and not because of `close`. */
  peerClosed(connection: number): void
  /** Bytes were read from one end of a splice; returns from when on, by `now()`, more may be read from it. */
  splicedData(connection: number, link: number, source: DataSource, bytes: number): number
}
