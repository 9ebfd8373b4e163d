import type { TransportAddress } from '../stun/address.ts'
import type { StunReader } from '../stun/reader.ts'
import type { Allocation, AllocationOwner } from './allocation.ts'
import type { Link } from './contract.ts'
import type { TurnCore } from './core.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Outcome, Refusal } from './outcome.ts'
import type { Realm } from './realm.ts'

/** A request as its handler sees it. `reader` is valid until the handler returns. */
export interface Request {
  readonly reader: StunReader
  /** The id of `from`. */
  readonly link: number
  readonly from: Link
  readonly client: TransportAddress
  readonly now: number
  /** The realm that it is checked against, and challenged for. */
  readonly realm: Realm
  /**
   * The live or pending allocation of the 5-tuple, that of the ticket of a client that moves, or that of the
   * connection that a ConnectionBind names: of whoever made it, until credentials say who asks.
   */
  readonly allocation: Allocation | undefined
  /** Why the MOBILITY-TICKET of a Refresh is of no use (RFC 8016 §3.2.2). */
  readonly ticketRefusal: Refusal | undefined
  /** The other event loop of this relay that it is meant for. */
  readonly loop: number | undefined
  /** Its answer has been taken from the budgets for those who have not proven who they are. */
  charged: boolean
  /** Set once the request is authenticated. */
  owner: AllocationOwner | undefined
}

/** A request that passed authentication. */
export interface AuthenticRequest extends Request {
  owner: AllocationOwner
}

/** A request that passed authentication on a live allocation of the same user (RFC 8656 §5). */
export interface AllocationRequest extends AuthenticRequest {
  readonly allocation: Allocation
}

export interface HandlerContext {
  readonly core: TurnCore
  readonly lifecycle: Lifecycle
}

/** One method's rules; `needs` says what was checked before. */
export type RequestHandler =
  | { readonly needs: 'nothing'; handle(context: HandlerContext, request: Request): Outcome }
  | { readonly needs: 'credentials'; handle(context: HandlerContext, request: AuthenticRequest): Outcome }
  | { readonly needs: 'allocation'; handle(context: HandlerContext, request: AllocationRequest): Outcome }
