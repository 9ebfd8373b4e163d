import type { RelayConfig } from '../../api/config.ts'
import type { Revocation } from '../../api/revocations.ts'
import type { PassedClient, SharedSocket } from '../../io/adoption.ts'
import type { HandedListeners } from '../../io/hand-over.ts'
import type { BoundListener, IoCounters, ListenerOptions, TlsMaterial } from '../../io/io.ts'
import type { AllocationEnd, Output } from '../../turn/contract.ts'
import type { TurnCounters } from '../../turn/counters.ts'
import type { HostAddresses } from '../../turn/server-config.ts'
import type { LoopTimes } from '../loop-times.ts'
import type { ShardEvent } from '../shard.ts'
import type { Shards } from '../shards.ts'
import type { Traffic } from '../traffic.ts'

/** What a thread is started with. */
export interface ThreadData {
  /** From 1. */
  readonly shard: number
  readonly config: RelayConfig
  readonly host: HostAddresses
  readonly ports: PortMaps
  /** What `LoopPlace` names, the same for all. */
  readonly relay: number
  readonly count: number
  readonly memory: ThreadMemory
}

/** The ports in use of each advertised address, by its text. */
export type PortMaps = ReadonlyMap<string, SharedArrayBuffer>

/** What the threads of a relay share. */
export interface ThreadMemory {
  readonly quota: SharedArrayBuffer
  /** Of descriptors. */
  readonly ledger: SharedArrayBuffer
  /** One each. */
  readonly gauges: SharedArrayBuffer
}

/** What holds from now on; a thread that replaces another one is told the last of each kind. */
export type Setting =
  | { readonly kind: 'tls'; readonly material: TlsMaterial }
  | {
      readonly kind: 'configure'
      readonly config: RelayConfig
      readonly host: HostAddresses
      readonly ports: PortMaps
    }
  | { readonly kind: 'drain'; readonly alternates: Parameters<Shards['setDrain']>[0] }
  | { readonly kind: 'revocations'; readonly revocations: readonly Revocation[] }
  | { readonly kind: 'observed'; readonly observed: boolean }
  /** The UDP listeners of all threads. */
  | { readonly kind: 'listeners'; readonly listeners: readonly SharedSocket[] }
  /** Of the relay before. */
  | { readonly kind: 'cookies'; readonly secrets: readonly Uint8Array[] }

/** What is answered by `done` or `failed` with the same `call`. */
export type Call =
  | { readonly kind: 'listen'; readonly options: ListenerOptions }
  | { readonly kind: 'close-listener'; readonly listener: number }
  | { readonly kind: 'count' }
  /** One step of `ListenerHandOver`. */
  | { readonly kind: 'hand-over'; readonly step: 'prepare' | 'release' | 'resume' | 'finish' }
  | { readonly kind: 'close'; readonly reason: AllocationEnd }

/** From the control side to a shard. */
export type Command =
  | Setting
  | (Call & { readonly call: number })
  | { readonly kind: 'tick' }
  | { readonly kind: 'settle' }
  /** Answered by `adopted`. */
  | { readonly kind: 'adopt'; readonly client: PassedClient }

/** An allocation that was made. */
export type Opened = Extract<Output, { kind: 'allocation-opened' }>

/** What a call comes back with. */
export interface Result {
  readonly listener?: BoundListener
  readonly handed?: HandedListeners
}

/** From a shard to the control side. */
export type Report =
  | { readonly kind: 'started'; readonly kickFd: number }
  | ({ readonly kind: 'done'; readonly call: number } & Result)
  | { readonly kind: 'failed'; readonly call: number; readonly message: string }
  | { readonly kind: 'events'; readonly events: readonly ShardEvent[] }
  /** All that live, when somebody begins to watch single allocations; none when nobody does any more. */
  | { readonly kind: 'live'; readonly opened: readonly Opened[] }
  | { readonly kind: 'counts'; readonly counts: Counts }
  | { readonly kind: 'pass'; readonly loop: number; readonly client: PassedClient }
  | { readonly kind: 'adopted' }

/** What only grows. */
export interface Counts {
  readonly counters: Readonly<TurnCounters>
  readonly traffic: Traffic
  readonly io: Readonly<IoCounters>
  readonly loopTimes: Readonly<LoopTimes>
}
