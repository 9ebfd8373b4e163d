import type { TransportAddress } from '../../stun/address.ts'
import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { CLASS, METHOD } from '../../stun/methods.ts'
import type { Allocation } from '../allocation.ts'
import type { DataSource } from '../contract.ts'
import type { TurnCore } from '../core.ts'
import type { DropReason } from '../drops.ts'
import { refuse } from '../outcome.ts'
import type { Responder } from '../responder.ts'
import type { PeerConnection } from './peer-connection.ts'
import { asSeen, peerRefusal } from './tcp-peer.ts'

const TRANSACTION_ID_BYTES = 12

/** What peers and the I/O layer bring to data connections: the events of RFC 6062 §5.2, §5.3 and §5.5. */
export class DataConnections {
  readonly #core: TurnCore
  readonly #responder: Responder

  constructor(core: TurnCore, responder: Responder) {
    this.#core = core
    this.#responder = responder
  }

  /**
   * A peer's connection to a relayed address (RFC 6062 §5.3): its CONNECTION-ID, told to the client by a
   * ConnectionAttempt indication; undefined where it is to be closed at once.
   */
  accept(relay: number, from: TransportAddress, now: number): number | undefined {
    const core = this.#core
    const allocation = core.table.relay(relay)?.allocation
    const peer = asSeen(core, from)
    const drop = allocation?.live ? this.#reasonToClose(allocation, peer, now) : 'no-allocation'
    if (!allocation || drop) {
      core.counters.drops[drop ?? 'no-allocation']++
      return undefined
    }
    const connection = core.connections.add(allocation, peer, undefined, now)
    core.counters.peerConnections.accepted++
    this.#announce(connection)
    return connection.id
  }

  /** The connection that a Connect asked for is there (RFC 6062 §5.2). */
  connected(id: number, now: number): void {
    const { connections, counters } = this.#core
    const connection = connections.get(id)
    if (connection?.state !== 'connecting') return
    connections.await(connection, now)
    counters.peerConnections.connected++
    this.#responder.succeedLater(
      METHOD.Connect,
      connection.allocation,
      (writer) => writer.addUint32(ATTRIBUTE.ConnectionId, id),
      connection.connect,
    )
  }

  /** It could not be made, or the peer has closed it (RFC 6062 §5.2, §5.5). */
  closed(id: number): void {
    const connection = this.#core.connections.get(id)
    if (connection?.state === 'connecting') this.#fail(connection, 'connect-failed')
    else if (connection) this.#core.connections.end(connection, 'closed')
  }

  /** The deadline of its state has come. */
  expire(connection: PeerConnection): void {
    if (connection.state === 'connecting') this.#fail(connection, 'connect-timeout')
    else this.#core.connections.end(connection, 'bind-timeout')
  }

  /**
   * Counts what was read from one end of bound connections to be sent on the other; returns from when on more
   * may be read. What is too fast is not dropped, as on a stream nothing can be: it waits.
   */
  relayed(id: number, source: DataSource, bytes: number, now: number): number {
    const { connections, counters, config } = this.#core
    const allocation = connections.get(id)?.allocation
    if (!allocation) return now
    allocation[`${source}Packets`]++
    allocation[`${source}Bytes`] += bytes
    counters[`${source}Packets`]++
    counters[`${source}Bytes`] += bytes
    return Math.max(
      allocation.byteBucket.spend(bytes, allocation.bytesPerSecond(config.limits), now),
      allocation.packetBucket.spend(1, config.limits.packetsPerSecondPerAllocation, now),
    )
  }

  #reasonToClose(allocation: Allocation, peer: TransportAddress, now: number): DropReason | undefined {
    const { table, connections } = this.#core
    const permission = table.permission(allocation, peer)
    if (!permission || permission.expiresAt <= now) return 'no-permission'
    if (peerRefusal(this.#core, allocation, peer)) return 'peer-refused'
    if (connections.between(allocation, peer)) return 'connection-exists'
    return connections.isFull(allocation, true) ? 'connection-limit' : undefined
  }

  /** ConnectionAttempt (RFC 6062 §5.3). */
  #announce({ id, allocation, peer }: PeerConnection): void {
    const { writer, crypto, outputs, counters } = this.#core
    const bytes = writer
      .start(METHOD.ConnectionAttempt, CLASS.Indication, crypto.randomBytes(TRANSACTION_ID_BYTES))
      .addXorAddress(ATTRIBUTE.XorPeerAddress, peer)
      .addUint32(ATTRIBUTE.ConnectionId, id)
      .finish()
    const sent = outputs.push({ kind: 'transmit', link: allocation.link.id, to: allocation.client, bytes })
    if (!sent) counters.drops['output-queue-full']++
  }

  #fail(connection: PeerConnection, reason: 'connect-failed' | 'connect-timeout'): void {
    const { allocation, connect } = connection
    this.#core.connections.end(connection, reason)
    this.#responder.refuseLater(METHOD.Connect, allocation, refuse(reason), connect)
  }
}
