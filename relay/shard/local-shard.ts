import type { Alternate } from '../api/alternate.ts'
import type { RelayConfig } from '../api/config.ts'
import type { Revocation } from '../api/revocations.ts'
import type { PassedClient, SharedSocket } from '../io/adoption.ts'
import type { RelayIo, StreamLimits } from '../io/io.ts'
import { nodeCrypto } from '../io/node-crypto.ts'
import type { AllocationEnd } from '../turn/contract.ts'
import type { CoreOptions } from '../turn/core.ts'
import { TurnServer } from '../turn/server.ts'
import { type HostAddresses, turnServerConfig } from '../turn/server-config.ts'
import { collectGarbage } from './collect-garbage.ts'
import { CollectionPlan } from './collection-plan.ts'
import { newLoopTimes } from './loop-times.ts'
import { Shard, type ShardEvent, type ShardOptions } from './shard.ts'
import type { Shards, ShardsStatus } from './shards.ts'
import { packetsIn, withOffloaded } from './traffic.ts'
import type { Gauges } from './worker/gauges.ts'
import type { Opened } from './worker/messages.ts'

/** A stream without an allocation that says nothing for so long is closed. */
const STREAM_IDLE_SECONDS = 60

interface LocalShardOptions
  extends Pick<CoreOptions, 'quota' | 'portMap' | 'portHolder' | 'loops'>,
    Pick<ShardOptions, 'onPass'> {
  readonly io: RelayIo
  readonly config: RelayConfig
  readonly host: HostAddresses
  readonly unixMs: () => number
  readonly onEvent: (event: ShardEvent) => void
}

/** The one event loop of a relay, in this thread. */
export class LocalShard implements Shards {
  readonly #io: RelayIo
  readonly #machine: TurnServer
  readonly #shard: Shard
  readonly #collections = new CollectionPlan()

  /** Throws an Error that says which entry of the configuration cannot be used. */
  constructor({ io, config, host, unixMs, onEvent, onPass, ...shared }: LocalShardOptions) {
    this.#io = io
    this.#machine = new TurnServer({
      config: turnServerConfig(config, host),
      crypto: nodeCrypto,
      dontFragment: io.dontFragment ?? false,
      tcpPeers: io.tcpPeers !== undefined,
      offload: io.offload,
      ...shared,
    })
    this.#shard = new Shard({ io, machine: this.#machine, unixMs, onEvent, onPass })
    this.#configureIo(config)
  }

  start(): void {
    this.#shard.start()
  }

  now = (): number => this.#io.now()

  tick(): void {
    this.#shard.syncClock()
    this.#machine.tickOffload(this.#io.now())
    if (this.#collections.isDue(this.#machine.allocationCount, packetsIn(this.#shard.traffic)))
      collectGarbage()
    this.#io.trimHeap?.()
  }

  listen: Shards['listen'] = (options) => this.#io.listen(options)

  closeListener: Shards['closeListener'] = (id) => this.#io.closeListener(id)

  setTls: Shards['setTls'] = (material) => this.#io.setTls(material)

  configure(config: RelayConfig, host: HostAddresses): void {
    this.#machine.updateConfig(turnServerConfig(config, host))
    this.#configureIo(config)
  }

  setDrain(alternates: readonly Alternate[] | undefined): void {
    if (alternates) this.#machine.startDrain({ alternates })
    else this.#machine.endDrain()
  }

  setObserved(observed: boolean): void {
    this.#machine.setObserved(observed)
  }

  setRevocations(revocations: readonly Revocation[]): void {
    this.#machine.setRevocations(revocations, this.#io.now())
    this.#shard.batchEnd()
  }

  /** This thread is not the shard's alone. */
  settle(): void {}

  /** A client that came to another event loop. */
  adopt(client: PassedClient): void {
    this.#io.adoption?.adopt(client)
  }

  /** The UDP listeners of all event loops. */
  setListeners(listeners: readonly SharedSocket[]): void {
    this.#io.adoption?.setListeners(listeners)
  }

  async close(reason: AllocationEnd): Promise<void> {
    this.#machine.closeAll(reason, this.#io.now())
    this.#shard.batchEnd()
    await this.#io.close()
  }

  /** They always are up to date. */
  async count(): Promise<void> {}

  /** All that live, as they were told of when they were made. */
  live(): Opened[] {
    return this.#machine.live()
  }

  get handOver(): Shards['handOver'] {
    return this.#io.handOver
  }

  /** Shows what is carried without putting a `status` together: a busy loop turns many thousand times a second. */
  show(gauges: Pick<Gauges, 'show'>): void {
    const machine = this.#machine
    gauges.show(
      machine.allocationCount,
      machine.permissionCount,
      machine.channelCount,
      machine.peerConnectionCount,
    )
  }

  get status(): ShardsStatus {
    const machine = this.#machine
    return {
      draining: machine.draining,
      allocations: machine.allocationCount,
      permissions: machine.permissionCount,
      channels: machine.channelCount,
      peerConnections: machine.peerConnectionCount,
      counters: machine.counters,
      traffic: withOffloaded(this.#shard.traffic, machine.offloaded),
      io: this.#io.counters,
      loopTimes: newLoopTimes(),
      problems: [],
    }
  }

  #configureIo(config: RelayConfig): void {
    this.#io.setStreamLimits(streamLimits(config))
    this.#io.keepDscp?.(config.dscp === 'keep')
  }
}

function streamLimits({ limits }: RelayConfig): StreamLimits {
  return {
    total: limits.streams,
    perAddress: limits.streamsPerAddress,
    halfOpenPerAddress: limits.halfOpenStreamsPerAddress,
    firstMessageSeconds: limits.streamFirstMessageSeconds,
    idleSeconds: STREAM_IDLE_SECONDS,
    queueBytes: limits.streamQueueBytes,
  }
}
