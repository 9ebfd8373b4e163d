import type { TransportAddress } from '../stun/address.ts'

/** A client of one event loop that goes to another one of the same process, with the request that it came with. */
export type PassedClient = PassedDatagram | PassedStream

/** What a client sent to a UDP listener. */
export interface PassedDatagram {
  readonly transport: 'udp'
  /** Where the listener is bound. */
  readonly local: TransportAddress
  readonly client: TransportAddress
  readonly bytes: Uint8Array
}

/** A client's stream. */
export interface PassedStream {
  readonly transport: 'tcp' | 'tls'
  /** The connection, or where what it carries in TLS comes from; its receiver closes it. */
  readonly descriptor: number
  readonly local: TransportAddress
  readonly client: TransportAddress
  readonly serverName: string | undefined
  /** The request, and all that came behind it. */
  readonly bytes: Uint8Array
}

/** A UDP listener of any event loop of this process. */
export interface SharedSocket {
  readonly port: number
  readonly descriptor: number
}

/** Lets clients go from one event loop of a process to another, on the address and port that they came to. */
export interface Adoption {
  /** Those of all event loops, this one's included: a client gets a socket of its own beside them. */
  setListeners(listeners: readonly SharedSocket[]): void
  /** What another loop takes the client of a link with; undefined where that cannot be. */
  give(link: number, client: TransportAddress, bytes: Uint8Array): PassedClient | undefined
  /**
   * Hears the request of a client as if it had come here. From then on all that it sends comes here: over UDP, if it
   * has an allocation now.
   */
  adopt(client: PassedClient): void
}
