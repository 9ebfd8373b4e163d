import type { TransportAddress } from '../../stun/address.ts'
import type { Allocation, RequestTransaction } from '../allocation.ts'
import { Timer } from '../timer-wheel.ts'

/** Where a peer data connection stands: `pending` waits for the client's ConnectionBind. */
export type ConnectionState = 'connecting' | 'pending' | 'bound'

/** A peer data connection of a TCP allocation (RFC 6062 §5.2, §5.3), its timer the deadline of its state. */
export class PeerConnection extends Timer {
  /** CONNECTION-ID (RFC 6062 §6.2.1), and the I/O layer's number for it. */
  readonly id: number
  readonly allocation: Allocation
  readonly peer: TransportAddress
  /** The Connect that asked for it, answered when it is there; undefined where the peer came by itself. */
  readonly connect: RequestTransaction | undefined
  state: ConnectionState
  /** The link of the client data connection, once there is one. */
  link: number | undefined

  constructor(
    id: number,
    allocation: Allocation,
    peer: TransportAddress,
    connect: RequestTransaction | undefined,
  ) {
    super()
    this.id = id
    this.allocation = allocation
    this.peer = peer
    this.connect = connect
    this.state = connect ? 'connecting' : 'pending'
  }
}
