import type { AddressFamily, TransportAddress } from '../stun/address.ts'
import { ERROR } from '../stun/error-codes.ts'
import { METHOD } from '../stun/methods.ts'
import { Allocation, type AllocationOrigin, type RelaySocket } from './allocation.ts'
import type { AllocationEnd, BindFailure } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Refusal, refuse } from './outcome.ts'
import { quotaHolder } from './quota-holder.ts'
import type { RelayAddress } from './relay-ports.ts'
import { writeAllocateSuccess } from './requests/allocate-success.ts'
import { RESERVATION_MS, Reservation } from './reservations.ts'
import type { Responder } from './responder.ts'

/** Random ports that are tried when the system says that one is in use. */
const BIND_ATTEMPTS_MAX = 8
/** A socket that is not bound by then counts as failed. */
const BIND_TIMEOUT_MS = 10_000

/** Which port an Allocate asks for (RFC 8656 §18.7, §18.10). */
export type PortChoice = 'any' | 'even' | 'even-pair' | Reservation

export interface AllocationPlan extends AllocationOrigin {
  readonly families: readonly AddressFamily[]
  readonly port: PortChoice
}

interface Place {
  readonly address: RelayAddress
  readonly port: number
}

/** How allocations begin and end: the only place that takes and gives back ports, quota and sockets. */
export class Lifecycle {
  readonly #core: TurnCore
  readonly #responder: Responder
  #lastAllocation = 0
  #lastRelay = 0
  #nextAddress = 0

  constructor(core: TurnCore, responder: Responder) {
    this.#core = core
    this.#responder = responder
  }

  /** Starts an allocation: its sockets are to be bound, then its client is answered. */
  begin(plan: AllocationPlan, now: number): Refusal | undefined {
    const { quota, config, table, policies } = this.#core
    if (plan.port instanceof Reservation) this.#endReservation(plan.port)
    const holder = quotaHolder(plan.owner, plan.client)
    const exceeded = quota.acquire(holder, config.limits)
    if (exceeded) return refuse(exceeded)
    const grounds = { holder, policy: policies.of(plan.owner) }
    const allocation = new Allocation(++this.#lastAllocation, plan, grounds, config.limits)
    if (!table.add(allocation)) {
      quota.release(holder)
      return refuse('relay-full')
    }
    const refusal = this.#takePorts(allocation, plan, now)
    if (refusal) {
      this.#discard(allocation)
      return refusal
    }
    this.arm(allocation, now + BIND_TIMEOUT_MS, now)
    return undefined
  }

  relayBound(id: number, now: number): void {
    const relay = this.#core.table.relay(id)
    if (!relay || relay.bound) return
    this.#core.table.markBound(relay)
    this.#completeWhenBound(relay.allocation, now)
  }

  /** A socket that fails after it was bound ends the allocation. */
  relayBindFailed(id: number, failure: BindFailure, now: number): void {
    const { table } = this.#core
    const relay = table.relay(id)
    if (!relay) return
    const { allocation } = relay
    if (allocation.live) {
      this.end(allocation, 'relay-failed', now)
      return
    }
    const tried = failure === 'port-in-use' && this.#tryAnotherPort(relay)
    relay.address.release(relay.relayed.port)
    table.removeRelay(relay)
    if (tried) return
    if (allocation.relays.length === 0) {
      this.#refuseLater(allocation, now)
      return
    }
    allocation.addressError = { family: relay.family, code: ERROR.InsufficientCapacity }
    this.#completeWhenBound(allocation, now)
  }

  /** Ends an allocation and gives back all that it held. */
  end(allocation: Allocation, reason: AllocationEnd, now: number): void {
    this.#core.offloading?.forget(allocation)
    if (allocation.live) {
      this.#core.counters.closed[reason]++
      this.#core.outputs.push({
        kind: 'allocation-closed',
        at: now,
        allocation: allocation.event(),
        reason,
        ...allocation.traffic(now),
      })
    }
    this.#discard(allocation)
  }

  /** Ends one of the relayed addresses of a dual allocation (RFC 8656 §8.2). */
  endRelay(relay: RelaySocket, now: number): void {
    const { allocation } = relay
    const { table, connections } = this.#core
    connections.endAll(allocation, relay.family)
    for (const channel of allocation.channels) {
      if (channel.peer.family === relay.family) table.removeChannel(allocation, channel)
    }
    for (const permission of allocation.permissions) {
      if (permission.address.family === relay.family) table.removePermission(allocation, permission)
    }
    this.#closeRelay(relay)
    table.removeRelay(relay)
    this.#armNext(allocation, now)
  }

  /** Lets the allocation's timer fire at `atMs` or before. */
  arm(allocation: Allocation, atMs: number, now: number): void {
    if (allocation.slot < 0 || atMs < allocation.dueAt) {
      allocation.dueAt = atMs
      this.#core.timers.schedule(allocation, atMs, now)
    }
  }

  fire(timer: Allocation | Reservation, now: number): void {
    if (timer instanceof Reservation) this.#endReservation(timer)
    else if (timer.live) this.#sweep(timer, now)
    else this.#refuseLater(timer, now)
  }

  #completeWhenBound(allocation: Allocation, now: number): void {
    const core = this.#core
    const { relays } = allocation
    if (!relays.every((relay) => relay.bound)) return
    allocation.live = true
    allocation.openedAt = now
    for (const relay of relays) relay.expiresAt = now + allocation.lifetimeSeconds * 1000
    core.counters.opened++
    core.outputs.push({ kind: 'allocation-opened', at: now, allocation: allocation.event() })
    this.#responder.succeedLater(METHOD.Allocate, allocation, (writer) =>
      writeAllocateSuccess(core, writer, allocation, now),
    )
    core.timers.cancel(allocation)
    this.#armNext(allocation, now)
  }

  #takePorts(allocation: Allocation, plan: AllocationPlan, now: number): Refusal | undefined {
    if (plan.port instanceof Reservation) {
      const { address, port } = plan.port
      if (!address.hold(port)) return refuse('no-reservation')
      this.#open(allocation, { address, port }, 'reserved')
      return undefined
    }
    for (const family of plan.families) {
      const place = this.#takePort(family, plan.port)
      if (place) this.#open(allocation, place, plan.port)
      else allocation.addressError = { family, code: this.#missingCode(family) }
    }
    if (allocation.relays.length === 0) return refuse('no-port')
    return plan.port === 'even-pair' ? this.#reserveNext(allocation, now) : undefined
  }

  #missingCode(family: AddressFamily): number {
    const supported = this.#core.addresses.some((address) => address.advertise.family === family)
    return supported ? ERROR.InsufficientCapacity : ERROR.AddressFamilyNotSupported
  }

  #takePort(family: AddressFamily, choice: 'any' | 'even' | 'even-pair'): Place | undefined {
    const { config, crypto } = this.#core
    const addresses = this.#core.addresses.filter((address) => address.advertise.family === family)
    for (let i = 0; i < addresses.length; i++) {
      const address = addresses[(this.#nextAddress + i) % addresses.length]!
      const port =
        choice === 'any'
          ? address.acquire(config.relayPorts, crypto)
          : address.acquireEven(config.relayPorts, choice === 'even-pair', crypto)
      if (port === undefined) continue
      this.#nextAddress++
      return { address, port }
    }
    return undefined
  }

  #open(allocation: Allocation, { address, port }: Place, choice: RelaySocket['choice']): RelaySocket {
    const relay = this.#core.table.addRelay(++this.#lastRelay, allocation, address, port)
    relay.choice = choice
    const bind: TransportAddress = address.bind.clone()
    bind.port = port
    this.#core.outputs.push({
      kind: 'bind-relay',
      relay: relay.id,
      family: bind.family,
      bind,
      transport: allocation.transport,
      dontFragment: allocation.dontFragment,
    })
    return relay
  }

  /** Reserves the port after an even one; it counts as an allocation (RFC 8656 §7.2). */
  #reserveNext(allocation: Allocation, now: number): Refusal | undefined {
    const { quota, config, reservations, timers } = this.#core
    const relay = allocation.relays[0]!
    const port = relay.relayed.port + 1
    const exceeded = quota.acquire(allocation.holder, config.limits)
    if (exceeded) {
      relay.address.release(port)
      return refuse(exceeded)
    }
    const reservation = reservations.add(allocation, relay.address, port)
    timers.schedule(reservation, now + RESERVATION_MS, now)
    allocation.reservationToken = reservation.token
    return undefined
  }

  /** Gives back a reservation's quota and port; whoever redeems it takes them again at once. */
  #endReservation(reservation: Reservation): void {
    this.#core.timers.cancel(reservation)
    this.#core.reservations.remove(reservation)
    this.#core.quota.release(reservation.holder)
    reservation.address.release(reservation.port)
  }

  /** The port may be another program's: try one more. */
  #tryAnotherPort({ allocation, attempts, choice, family }: RelaySocket): boolean {
    if (attempts >= BIND_ATTEMPTS_MAX || (choice !== 'any' && choice !== 'even')) return false
    const place = this.#takePort(family, choice)
    if (!place) return false
    this.#open(allocation, place, choice).attempts = attempts + 1
    return true
  }

  #refuseLater(allocation: Allocation, now: number): void {
    const token = allocation.reservationToken
    const reservation = token && this.#core.reservations.find(token)
    if (reservation) this.#endReservation(reservation)
    this.#responder.refuseLater(METHOD.Allocate, allocation, refuse('bind-failed'))
    this.end(allocation, 'relay-failed', now)
  }

  #discard(allocation: Allocation): void {
    this.#core.timers.cancel(allocation)
    this.#core.connections.endAll(allocation)
    const next = allocation.mobility?.next
    if (next) this.#core.outputs.push({ kind: 'link-in-use', link: next.link.id, inUse: false })
    for (const relay of allocation.relays) this.#closeRelay(relay)
    this.#core.table.remove(allocation)
    this.#core.quota.release(allocation.holder)
  }

  #closeRelay(relay: RelaySocket): void {
    relay.address.release(relay.relayed.port)
    this.#core.outputs.push({ kind: 'close-relay', relay: relay.id })
  }

  /** Takes out what has expired and waits for the next deadline. */
  #sweep(allocation: Allocation, now: number): void {
    const { table, graceMs } = this.#core
    for (const channel of allocation.channels) {
      if (channel.expiresAt <= now) table.removeChannel(allocation, channel)
    }
    for (const permission of allocation.permissions) {
      if (permission.expiresAt <= now && permission.channels === 0)
        table.removePermission(allocation, permission)
    }
    const expired = allocation.relays.filter((relay) => relay.expiresAt + graceMs <= now)
    if (expired.length === allocation.relays.length) {
      this.end(allocation, 'expired', now)
      return
    }
    for (const relay of expired) this.endRelay(relay, now)
    this.#armNext(allocation, now)
  }

  #armNext(allocation: Allocation, now: number): void {
    let next = Number.POSITIVE_INFINITY
    for (const relay of allocation.relays) next = Math.min(next, relay.expiresAt + this.#core.graceMs)
    for (const { expiresAt } of allocation.channels) next = Math.min(next, expiresAt)
    for (const { expiresAt, channels } of allocation.permissions) {
      if (channels === 0) next = Math.min(next, expiresAt)
    }
    this.arm(allocation, next, now)
  }
}
