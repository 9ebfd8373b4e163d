import type { Alternate } from '../api/alternate.ts'
import type { Revocation } from '../api/revocations.ts'
import type { TransportAddress } from '../stun/address.ts'
import { isChannelDataByte } from '../stun/channel-data.ts'
import { CLASS, METHOD } from '../stun/methods.ts'
import type { AllocationOwner } from './allocation.ts'
import type {
  AllocationEnd,
  BindFailure,
  DataSource,
  Forward,
  Link,
  Output,
  TurnMachine,
} from './contract.ts'
import { type CoreOptions, TurnCore } from './core.ts'
import type { TurnCounters } from './counters.ts'
import { DataPath } from './data-path.ts'
import { dispatch } from './dispatch.ts'
import { parseAlternates } from './drain.ts'
import { Lifecycle } from './lifecycle.ts'
import { arrive } from './mobility.ts'
import type { OffloadedData } from './offload.ts'
import { reportPeerError } from './peer-error.ts'
import type { HandlerContext } from './request.ts'
import { Responder } from './responder.ts'
import { Revocations } from './revocations.ts'
import type { TurnServerConfig } from './server-config.ts'
import { DataConnections } from './tcp/data-connections.ts'
import { PeerConnection } from './tcp/peer-connection.ts'

/** Allocations that end or lapse in one go: packets come in between where thousands are due together. */
const TIMEOUTS_AT_ONCE = 64

/**
 * A TURN server (RFC 8656) without I/O: see `contract.ts` for what goes in and comes out. Behind it are one
 * file per request (`requests/`), the packet path (`data-path.ts`), the peer policy (`peer-policy.ts`) and
 * how allocations begin and end (`lifecycle.ts`).
 */
export class TurnServer implements TurnMachine {
  readonly #core: TurnCore
  readonly #responder: Responder
  readonly #lifecycle: Lifecycle
  readonly #dataPath: DataPath
  readonly #dataConnections: DataConnections
  readonly #context: HandlerContext

  /** Throws an Error that says which entry of the configuration cannot be used. */
  constructor(options: CoreOptions) {
    this.#core = new TurnCore(options)
    this.#responder = new Responder(this.#core)
    this.#lifecycle = new Lifecycle(this.#core, this.#responder)
    this.#dataPath = new DataPath(this.#core)
    this.#dataConnections = new DataConnections(this.#core, this.#responder)
    this.#context = { core: this.#core, lifecycle: this.#lifecycle }
  }

  get counters(): Readonly<TurnCounters> {
    return this.#core.counters
  }

  /** Allocations, those included whose relay socket is being bound. */
  get allocationCount(): number {
    return this.#core.table.size
  }

  get permissionCount(): number {
    return this.#core.table.permissionCount
  }

  get channelCount(): number {
    return this.#core.table.channelCount
  }

  /** Connections to and from peers of TCP allocations, those included that are being made (RFC 6062). */
  get peerConnectionCount(): number {
    return this.#core.connections.size
  }

  /** Ports that EVEN-PORT holds for a later Allocate. */
  get reservationCount(): number {
    return this.#core.reservations.size
  }

  /** What passed below this machine: counted in `counters`, but in no `Forward`. */
  get offloaded(): Readonly<OffloadedData> | undefined {
    return this.#core.offloading && this.#core.counters.offloaded
  }

  /** To be called every second or so where something forwards below this machine: takes its counts over. */
  tickOffload(now: number): void {
    this.#core.offloading?.tick(now)
  }

  get draining(): boolean {
    return this.#core.draining
  }

  /** Puts a configuration in force at once, live permissions included; throws, and changes nothing, where it cannot be used. */
  updateConfig(config: TurnServerConfig): void {
    this.#core.reconfigure(config)
  }

  /** New Allocates are sent elsewhere or refused from now on; what is live goes on. */
  startDrain(options: { readonly alternates: readonly Alternate[] }): void {
    this.#core.draining = true
    this.#core.alternates = parseAlternates(options.alternates)
  }

  endDrain(): void {
    this.#core.draining = false
    this.#core.alternates = []
  }

  /** Addresses and ports that new clients are sent to while draining, best first. */
  setAlternates(alternates: readonly Alternate[]): void {
    this.#core.alternates = parseAlternates(alternates)
  }

  /** Whether outputs tell of refreshes too, which cost something for each. */
  setObserved(observed: boolean): void {
    this.#core.observed = observed
  }

  /** Ends every allocation of a username, or of the user part of a TURN REST username; says how many. */
  revoke(user: string, now: number): number {
    return this.#revokeThose(({ username, user: holder }) => username === user || holder === user, now)
  }

  /** Refuses those credentials, and no others, from now on, and ends their allocations; says how many. */
  setRevocations(revocations: readonly Revocation[], now: number): number {
    const list = new Revocations(revocations)
    this.#core.revocations = list
    const seconds = this.#core.unixSeconds(now)
    return this.#revokeThose((owner) => list.includes(owner, seconds), now)
  }

  /** The allocations that live, each as the output that told of it. */
  live(): Extract<Output, { kind: 'allocation-opened' }>[] {
    const live = this.#core.table.all().filter((allocation) => allocation.live)
    return live.map((one) => ({ kind: 'allocation-opened', at: one.openedAt, allocation: one.event() }))
  }

  /** Ends every allocation. */
  closeAll(reason: AllocationEnd, now: number): void {
    for (const allocation of this.#core.table.all()) this.#lifecycle.end(allocation, reason, now)
  }

  addLink(link: Link): void {
    this.#core.links.set(link.id, link)
    this.#core.natDiscovery.add(link)
  }

  clientsOf(link: number): readonly TransportAddress[] {
    return this.#core.table.clientsOf(link)
  }

  hasClient(link: number, client: TransportAddress): boolean {
    return this.#core.table.find(link, client) !== undefined
  }

  removeLink(link: number, now: number): void {
    const closed = this.#core.links.get(link)
    if (!closed) return
    this.#core.links.delete(link)
    this.#core.natDiscovery.remove(closed)
    const bound = this.#core.connections.onLink(link)
    if (bound) this.#core.connections.end(bound, 'closed')
    for (const allocation of this.#core.table.onLink(closed)) {
      const next = allocation.mobility?.next
      if (next?.link.id === link) this.#core.table.dropNext(allocation)
      if (allocation.link.id !== link) continue
      if (allocation.mobility?.next) arrive(this.#core, allocation)
      else this.#lifecycle.end(allocation, 'link-closed', now)
    }
  }

  handleClientData(
    link: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    if (length > 0 && isChannelDataByte(buffer[offset]!)) {
      return this.#dataPath.channelData(link, from, buffer, offset, length, now)
    }
    const { reader, counters, links } = this.#core
    const read = reader.read(buffer, offset, length)
    if (read !== 'ok') counters.drops[read]++
    else if (reader.messageClass === CLASS.Request) {
      const way = links.get(link)
      if (way) dispatch(this.#context, this.#responder, way, from, now)
    } else if (reader.messageClass === CLASS.Indication && reader.method === METHOD.Send) {
      return this.#dataPath.sendIndication(link, from, buffer, now)
    } else counters.drops.unsupported++
    return undefined
  }

  handlePeerData(
    relay: number,
    from: TransportAddress,
    buffer: Uint8Array,
    offset: number,
    length: number,
    now: number,
  ): Forward | undefined {
    return this.#dataPath.peerData(relay, from, buffer, offset, length, now)
  }

  handlePeerError(
    relay: number,
    peer: TransportAddress,
    icmpType: number,
    icmpCode: number,
    mtu: number,
    now: number,
  ): void {
    reportPeerError(this.#core, { relay, peer, icmpType, icmpCode, mtu, now })
  }

  relayBound(relay: number, now: number): void {
    this.#lifecycle.relayBound(relay, now)
  }

  relayBindFailed(relay: number, failure: BindFailure, now: number): void {
    this.#lifecycle.relayBindFailed(relay, failure, now)
  }

  handlePeerConnection(relay: number, from: TransportAddress, now: number): number | undefined {
    return this.#dataConnections.accept(relay, from, now)
  }

  peerConnected(connection: number, now: number): void {
    this.#dataConnections.connected(connection, now)
  }

  peerClosed(connection: number): void {
    this.#dataConnections.closed(connection)
  }

  handleSplicedData(connection: number, source: DataSource, bytes: number, now: number): number {
    return this.#dataConnections.relayed(connection, source, bytes, now)
  }

  pollTimeout(): number {
    return this.#core.timers.nextDeadline
  }

  handleTimeout(now: number): void {
    this.#core.timers.advance(
      now,
      (timer) => {
        if (timer instanceof PeerConnection) this.#dataConnections.expire(timer)
        else this.#lifecycle.fire(timer, now)
      },
      TIMEOUTS_AT_ONCE,
    )
  }

  nextOutput(): Output | undefined {
    return this.#core.outputs.next()
  }

  setWallClockOffset(offsetMs: number): void {
    this.#core.wallClockOffsetMs = offsetMs
  }

  #revokeThose(isRevoked: (owner: AllocationOwner) => boolean, now: number): number {
    const theirs = this.#core.table.all().filter(({ owner }) => isRevoked(owner))
    for (const allocation of theirs) this.#lifecycle.end(allocation, 'revoked', now)
    return theirs.length
  }
}
