import type { AddressFamily, TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readUint32Value } from '../../stun/attributes.ts'
import { METHOD } from '../../stun/methods.ts'
import { readUint32 } from '../../stun/wire.ts'
import type { Allocation, RequestTransaction } from '../allocation.ts'
import type { TurnCore } from '../core.ts'
import { withLoop } from '../loops.ts'
import { PeerConnection } from './peer-connection.ts'

/** How long a peer may take to accept (RFC 6062 §5.2: at least 30 seconds). */
const CONNECT_TIMEOUT_MS = 30_000
/** How long a peer data connection waits for its ConnectionBind (RFC 6062 §5.2, §5.3). */
const BIND_TIMEOUT_MS = 30_000

/** How a peer data connection ended, or was refused before it was one. */
export type ConnectionEnd = 'connect-failed' | 'connect-timeout' | 'bind-timeout' | 'closed'

/** All peer data connections, by CONNECTION-ID, client data connection and allocation: in all of them or in none. */
export class PeerConnections {
  readonly #core: TurnCore
  readonly #byId = new Map<number, PeerConnection>()
  readonly #byLink = new Map<number, PeerConnection>()

  constructor(core: TurnCore) {
    this.#core = core
  }

  get size(): number {
    return this.#byId.size
  }

  get(id: number): PeerConnection | undefined {
    return this.#byId.get(id)
  }

  /** The one whose client data connection a link is. */
  onLink(link: number): PeerConnection | undefined {
    return this.#byLink.get(link)
  }

  /** The one that a ConnectionBind names; undefined where it names none, and for other requests. */
  named(): PeerConnection | undefined {
    const { reader } = this.#core
    if (reader.method !== METHOD.ConnectionBind) return undefined
    const index = reader.find(ATTRIBUTE.ConnectionId)
    const id = index < 0 ? undefined : readUint32Value(reader, index)
    return id === undefined ? undefined : this.#byId.get(id)
  }

  /** The one between an allocation and a peer's transport address. */
  between({ connections }: Allocation, peer: TransportAddress): PeerConnection | undefined {
    return connections.find((connection) => connection.peer.equals(peer))
  }

  /** Whether a limit stands in the way of one more; those that peers made and those of Connects wait apart. */
  isFull({ connections }: Allocation, fromPeer: boolean): boolean {
    const { limits } = this.#core.config
    if (this.size >= limits.peerConnections) return true
    if (connections.length >= limits.peerConnectionsPerAllocation) return true
    const waiting = connections.filter(
      ({ state, connect }) => state !== 'bound' && (connect === undefined) === fromPeer,
    )
    return waiting.length >= limits.pendingPeerConnectionsPerAllocation
  }

  /** A connection that is made because of a Connect, or without one that a peer has made. */
  add(
    allocation: Allocation,
    peer: TransportAddress,
    connect: RequestTransaction | undefined,
    now: number,
  ): PeerConnection {
    const connection = new PeerConnection(this.#freeId(), allocation, peer.clone(), connect)
    this.#byId.set(connection.id, connection)
    allocation.connections = allocation.connections.concat(connection)
    const wait = connect ? CONNECT_TIMEOUT_MS : BIND_TIMEOUT_MS
    this.#core.timers.schedule(connection, now + wait, now)
    return connection
  }

  /** The peer has accepted: from now on ConnectionBind is waited for. */
  await(connection: PeerConnection, now: number): void {
    connection.state = 'pending'
    this.#core.timers.schedule(connection, now + BIND_TIMEOUT_MS, now)
  }

  /** Makes a link its client data connection (RFC 6062 §5.4); the allocation's lifetime is its only timer now. */
  bind(connection: PeerConnection, link: number): void {
    this.#core.timers.cancel(connection)
    connection.state = 'bound'
    connection.link = link
    this.#byLink.set(link, connection)
    this.#core.outputs.push({ kind: 'splice', connection: connection.id, link })
  }

  /** Ends a peer data connection and the client data connection with it (RFC 6062 §5.5). */
  end(connection: PeerConnection, reason: ConnectionEnd): void {
    const { timers, outputs, counters } = this.#core
    const { id, link, allocation } = connection
    timers.cancel(connection)
    this.#byId.delete(id)
    allocation.connections = allocation.connections.filter((other) => other !== connection)
    counters.peerConnections[reason]++
    outputs.push({ kind: 'close-peer', connection: id })
    if (link === undefined) return
    this.#byLink.delete(link)
    outputs.push({ kind: 'close-link', link })
  }

  /** Ends those of an allocation, or of one of its relayed addresses. */
  endAll({ connections }: Allocation, family?: AddressFamily): void {
    for (const connection of connections) {
      if (family === undefined || connection.peer.family === family) this.end(connection, 'closed')
    }
  }

  /** Random, so that nobody can guess another client's (RFC 6062 §6.2.1). */
  #freeId(): number {
    for (;;) {
      const id = withLoop(this.#core.loops, readUint32(this.#core.crypto.randomBytes(4), 0))
      if (id !== 0 && !this.#byId.has(id)) return id
    }
  }
}
