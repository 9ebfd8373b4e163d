import type { TransportAddress } from '../../../stun/address.ts'
import type { Link } from '../../../turn/contract.ts'
import type { DtlsSession } from '../openssl/dtls-session.ts'
import type { UdpSocket } from '../udp-socket.ts'
import { RANDOM_BYTES } from './client-hello.ts'

/** The socket of a listener, and its number, which tells its clients from those of others. */
export interface DtlsListener {
  readonly dtls: number
  readonly socket: UdpSocket
  /** Where what is meant for a client has to be sent. */
  wayTo(client: TransportAddress): TransportAddress
}

/** What is known of one client, from its cookie to its end. */
export class DtlsConnection {
  readonly link: Link
  readonly listener: DtlsListener
  /** Of the listener, for as long as the connection is known. */
  readonly listenerId: number
  readonly remote: TransportAddress
  readonly session: DtlsSession
  /** Handshake done. */
  secured = false
  /** Its first message has come, so that the link is known. */
  opened = false
  inUse = false
  /** Never in use so far. */
  halfOpen = true
  closed = false
  /** When it is closed unless something happens, on the clock of the loop. */
  deadline: number
  /** When what was sent of the handshake is to be sent again. */
  retransmitAt = Number.POSITIVE_INFINITY
  readonly #random: Uint8Array

  constructor(
    link: Link & { readonly remote: TransportAddress },
    listener: DtlsListener,
    session: DtlsSession,
    random: Uint8Array,
    deadline: number,
  ) {
    this.link = link
    this.remote = link.remote
    this.listener = listener
    this.listenerId = listener.dtls
    this.session = session
    this.deadline = deadline
    this.#random = random
  }

  /** Did the client begin this connection with these random bytes, and not a new one? */
  beganWith(buffer: Uint8Array, random: number): boolean {
    for (let i = 0; i < RANDOM_BYTES; i++) if (this.#random[i] !== buffer[random + i]) return false
    return true
  }
}
