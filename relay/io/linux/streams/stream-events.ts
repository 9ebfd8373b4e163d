import type { TransportAddress } from '../../../stun/address.ts'
import type { PassedStream } from '../../adoption.ts'
import type { StreamLimits } from '../../io.ts'
import type { BioPair } from '../openssl/bio-pair.ts'
import type { TlsContext } from '../openssl/tls-context.ts'
import type { StreamBuffers } from './stream-buffers.ts'
import type { StreamConnection } from './stream-connection.ts'

/** What a connection tells its owner, and asks it for. */
export interface StreamEvents {
  readonly buffers: StreamBuffers
  readonly bios: BioPair
  now(): number
  nextLinkId(): number
  /** A balancer has said who the client is; false where that one has too many streams. */
  identified(connection: StreamConnection): boolean
  headerRefused(): void
  opened(connection: StreamConnection): void
  received(connection: StreamConnection, buffer: Uint8Array, offset: number, length: number): void
  /** What came may have changed what comes next: let the machine decide now. */
  decide(): void
  /** `flush` is to be called at the end of the turn. */
  wantsFlush(connection: StreamConnection): void
  /** All others are to flush, as this one finds no room. */
  crowded(): void
  /** What its descriptor is to be watched for. */
  watch(connection: StreamConnection, events: number): void
  /** It uses streams of Node's from now on, or has given them work. */
  touchedNode(): void
  proved(connection: StreamConnection): void
  closed(connection: StreamConnection): void
  frameDropped(): void
  framingFailed(): void
  handshakeFailed(): void
}

export interface StreamOptions {
  readonly local: TransportAddress
  readonly remote: TransportAddress
  /** What TLS is spoken with at this moment; undefined: it is not. */
  readonly context: () => TlsContext | undefined
  /** Whether a balancer puts a header in front. */
  readonly proxied: boolean
  readonly limits: StreamLimits
  /** What another event loop knows of it already. */
  readonly passed?: Pick<PassedStream, 'transport' | 'serverName'>
}
