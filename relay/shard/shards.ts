import type { Alternate } from '../api/alternate.ts'
import type { RelayConfig } from '../api/config.ts'
import type { Revocation } from '../api/revocations.ts'
import type { HandedListeners, ListenerHandOver } from '../io/hand-over.ts'
import type { BoundListener, IoCounters, ListenerOptions, TlsMaterial } from '../io/io.ts'
import type { AllocationEnd } from '../turn/contract.ts'
import type { TurnCounters } from '../turn/counters.ts'
import type { HostAddresses } from '../turn/server-config.ts'
import type { LoopTimes } from './loop-times.ts'
import type { Traffic } from './traffic.ts'

/** The event loops of one relay as its control side sees them, one or several. */
export interface Shards {
  start(): void
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** To be called every second: follows wall time, which may be set, and gives back memory that is not needed. */
  tick(): void
  /** Rejects with an Error that names the address and what to do. */
  listen(options: ListenerOptions): Promise<BoundListener>
  closeListener(id: number): Promise<void>
  /** Used for handshakes from now on; a pair that does not load throws and the old one stays. */
  setTls(material: TlsMaterial): void
  /** Puts a configuration in force at once; throws, and changes nothing, where it cannot be used. */
  configure(config: RelayConfig, host: HostAddresses): void
  /** New clients are sent to these relays, best first, or refused; undefined: they are served. */
  setDrain(alternates: readonly Alternate[] | undefined): void
  /** Whether events tell of refreshes too, which cost something for each. */
  setObserved(observed: boolean): void
  /** Refuses those credentials, and no others, from now on, and ends their allocations. */
  setRevocations(revocations: readonly Revocation[]): void
  /** The relay serves: threads let go of what their start has left behind. */
  settle(): void
  /** Ends every allocation, and with that of the last one its sockets. */
  close(reason: AllocationEnd): Promise<void>
  /** Brings the counters of `status` up to date, as far as the loops answer. */
  count(): Promise<void>
  /** Hands listeners over to another process; absent: these loops cannot. */
  readonly handOver?: ShardsHandOver | undefined
  readonly status: ShardsStatus
}

/** `ListenerHandOver` of all loops. */
export interface ShardsHandOver {
  prepare(): Promise<void>
  release(): HandedListeners | Promise<HandedListeners>
  resume(): void
  acceptCookies: ListenerHandOver['acceptCookies']
  finish(): void | Promise<void>
}

/** What the loops carry and have counted, together. */
export interface ShardsStatus {
  readonly draining: boolean
  readonly allocations: number
  readonly permissions: number
  readonly channels: number
  readonly peerConnections: number
  readonly counters: Readonly<TurnCounters>
  readonly traffic: Traffic
  readonly io: Readonly<IoCounters>
  /** Of loops that have a thread of their own. */
  readonly loopTimes: Readonly<LoopTimes>
  /** Loops that do not do their work, in words for a person. */
  readonly problems: readonly string[]
}
