import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import type { RelayConfig } from '../../api/config.ts'
import type { Revocation } from '../../api/revocations.ts'
import type { BoundListener, ListenerOptions, TlsMaterial } from '../../io/io.ts'
import { descriptorsOf, ledgerMemory } from '../../io/linux/descriptors.ts'
import { close } from '../../io/linux/ffi.ts'
import { trimNativeHeap } from '../../io/linux/native-heap.ts'
import { keepOthersFromInterrupting } from '../../io/linux/scheduling.ts'
import { nodeCrypto } from '../../io/node-crypto.ts'
import type { AllocationEnd } from '../../turn/contract.ts'
import { newPortMap, PORT_MAP_BYTES, releasePortsOf } from '../../turn/relay-ports.ts'
import { TurnServer } from '../../turn/server.ts'
import { type HostAddresses, turnServerConfig } from '../../turn/server-config.ts'
import type { ShardEvent } from '../shard.ts'
import type { Shards, ShardsHandOver, ShardsStatus } from '../shards.ts'
import { quotaMemory, SharedQuota } from '../shared-quota.ts'
import { noCounts, sumOf } from './counts.ts'
import type { Command, Setting } from './messages.ts'
import { WorkerHandOver } from './worker-hand-over.ts'
import { WorkerShard, type WorkerShardOptions } from './worker-shard.ts'

/** A shard that died is started again after so long. */
const RESTART_MS = 1_000
/** A loop that does not answer by then is counted as it was. */
const COUNT_MS = 500
/** The control side's number among those who share the quota. */
const CONTROL = 0x7fff_ffff

export interface WorkerShardsOptions {
  readonly count: number
  readonly config: RelayConfig
  readonly host: HostAddresses
  readonly onEvent: (event: ShardEvent) => void
  readonly startShard?: (options: WorkerShardOptions) => WorkerShard
}

type Configuration = Extract<Setting, { kind: 'configure' }>

/** A listener that each shard has a socket of its own for, on the same port (SO_REUSEPORT). */
interface SharedListener {
  readonly bound: BoundListener
  readonly options: ListenerOptions
  /** Each shard's own. */
  readonly own: BoundListener[]
}

/** The event loops of a relay, each on a thread of its own. */
export class WorkerShards implements Shards {
  readonly #options: WorkerShardsOptions
  /** Refuses a configuration before any shard hears of it. */
  readonly #judge: TurnServer
  /** For relays whose configuration names none: a nonce of one shard must be good on the others. */
  readonly #nonceKeys = [{ id: 'own', secret: randomBytes(32).toString('base64') }]
  readonly #quota: SharedArrayBuffer
  readonly #ledger = ledgerMemory()
  readonly #relay = randomInt(2 ** 32)
  readonly #shards: WorkerShard[] = []
  readonly #ports = new Map<string, SharedArrayBuffer>()
  readonly #settings = new Map<Setting['kind'], Setting>()
  readonly #listeners = new Map<number, SharedListener>()
  /** What shards had counted that are no more. */
  #past = noCounts()
  #draining = false
  #closing = false
  #lastId = 0

  /** Throws an Error that says which entry of the configuration cannot be used. */
  constructor(options: WorkerShardsOptions) {
    this.#options = options
    const { config, host } = options
    this.#judge = new TurnServer({ config: turnServerConfig(config, host), crypto: nodeCrypto })
    this.#quota = quotaMemory(config.limits.allocations, randomInt(2 ** 31))
    this.#settings.set('configure', this.#configuration(config, host))
  }

  start(): void {
    keepOthersFromInterrupting()
    for (let index = 0; index < this.#options.count; index++) this.#shards[index] = this.#begin(index)
  }

  now = (): number => performance.now()

  tick(): void {
    this.#tell({ kind: 'tick' })
    trimNativeHeap()
  }

  /** Sockets that there are go to the loops in turn; those without one open their own beside, before anybody reads. */
  async listen(options: ListenerOptions): Promise<BoundListener> {
    const { descriptors, ...rest } = options
    const own: BoundListener[] = []
    let { port } = options
    const open = async (index: number, wanted: ListenerOptions) => {
      const shard = this.#shards[index]!
      await shard.started
      own[index] = await shard.listen({ ...wanted, port })
      port = own[index]!.port
    }
    const shares = sharesOf(descriptors, this.#shards.length)
    for (const [index, share] of shares.entries()) {
      if (share.length > 0) continue
      const shared = index === 0 && !descriptors ? (options.shared ?? 'first') : 'joined'
      await open(index, { ...rest, ...(descriptors && { besideClients: true }), shared })
    }
    for (const [index, share] of shares.entries())
      if (share.length > 0) await open(index, { ...rest, shared: 'joined', descriptors: share })
    const id = ++this.#lastId
    const listener = { bound: { ...own[0]!, id }, options: { ...rest, port, shared: 'joined' as const }, own }
    this.#listeners.set(id, listener)
    this.#tellListeners()
    return listener.bound
  }

  async closeListener(id: number): Promise<void> {
    const listener = this.#listeners.get(id)
    this.#listeners.delete(id)
    if (!listener) return
    this.#tellListeners()
    const closing = this.#shards.map(async (shard, index) => {
      const { id: own, descriptors = [] } = listener.own[index]!
      try {
        await shard.ask({ kind: 'close-listener', listener: own })
      } catch {
        // It died, and its socket was kept for the one that replaces it.
        for (const descriptor of descriptors) close(descriptor)
      }
    })
    await Promise.all(closing)
  }

  setTls(material: TlsMaterial): void {
    createSecureContext(material)
    this.#set({ kind: 'tls', material })
  }

  configure(config: RelayConfig, host: HostAddresses): void {
    this.#judge.updateConfig(turnServerConfig(config, host))
    this.#set(this.#configuration(config, host))
  }

  setDrain(alternates: Parameters<Shards['setDrain']>[0]): void {
    this.#draining = alternates !== undefined
    this.#set({ kind: 'drain', alternates })
  }

  setRevocations(revocations: readonly Revocation[]): void {
    this.#set({ kind: 'revocations', revocations })
  }

  setObserved(observed: boolean): void {
    this.#set({ kind: 'observed', observed })
  }

  settle(): void {
    this.#tell({ kind: 'settle' })
  }

  async close(reason: AllocationEnd): Promise<void> {
    this.#closing = true
    await Promise.all(this.#shards.map((shard) => shard.ask({ kind: 'close', reason })))
  }

  async count(): Promise<void> {
    const answers = Promise.allSettled(this.#shards.map((shard) => shard.ask({ kind: 'count' })))
    const patience = new AbortController()
    const { signal } = patience
    await Promise.race([answers, sleep(COUNT_MS, undefined, { signal }).catch(() => undefined)])
    patience.abort()
  }

  readonly handOver: ShardsHandOver = new WorkerHandOver({
    shards: this.#shards,
    set: (setting) => this.#set(setting),
    gone: () => {
      this.#listeners.clear()
      this.#tellListeners()
    },
  })

  get status(): ShardsStatus {
    const sum = (field: Parameters<WorkerShard['gauges']['get']>[0]) =>
      this.#shards.reduce((total, { gauges }) => total + gauges.get(field), 0)
    return {
      draining: this.#draining,
      allocations: sum('allocations'),
      permissions: sum('permissions'),
      channels: sum('channels'),
      peerConnections: sum('peerConnections'),
      problems: this.#shards.flatMap((shard) => shard.problem(performance.now()) ?? []),
      ...sumOf([this.#past, ...this.#shards.map(({ counts }) => counts)]),
    }
  }

  #begin(index: number): WorkerShard {
    const { config, host, ports } = this.#settings.get('configure') as Configuration
    const start = this.#options.startShard ?? ((options) => new WorkerShard(options))
    const shard = start({
      data: { shard: index + 1, config, host, ports, relay: this.#relay, count: this.#options.count },
      memory: { quota: this.#quota, ledger: this.#ledger },
      onEvent: this.#options.onEvent,
      onPass: (loop, client) => {
        if (!this.#shards[loop - 1]?.adopt(client) && client.transport !== 'udp') close(client.descriptor)
      },
      onDeath: (error) => this.#bury(index, error),
    })
    for (const setting of this.#settings.values()) if (setting.kind !== 'configure') shard.tell(setting)
    return shard
  }

  /** Gives back what a dead shard held, and puts another one in its place. */
  #bury(index: number, error: Error): void {
    const number = index + 1
    this.#past = sumOf([this.#past, this.#shards[index]!.counts])
    new SharedQuota(this.#quota, CONTROL).releaseAllOf(number)
    for (const memory of this.#ports.values()) releasePortsOf(number, newPortMap(memory))
    // Its listeners stay, for the next one: what comes to the others depends on how many there are.
    const kept = new Set([...this.#listeners.values()].flatMap(({ own }) => own[index]?.descriptors ?? []))
    for (const fd of descriptorsOf(this.#ledger, number)) if (!kept.has(fd)) close(fd)
    this.#options.onEvent({ kind: 'fault', error })
    // One that dies before it can be told anything is buried as this one.
    setTimeout(() => void this.#replace(index).catch(() => undefined), RESTART_MS)
  }

  async #replace(index: number): Promise<void> {
    if (this.#closing) return
    const shard = this.#begin(index)
    this.#shards[index] = shard
    await shard.started
    for (const { options, own } of this.#listeners.values()) {
      const descriptors = own[index]?.descriptors
      own[index] = await shard.listen(descriptors ? { ...options, descriptors } : options)
    }
    this.#tellListeners()
  }

  /** Beside these, clients get sockets of their own. */
  #tellListeners(): void {
    const all = [...this.#listeners.values()].flatMap(({ own }) => own)
    const listeners = all.flatMap(({ protocol, port, descriptors = [] }) =>
      protocol === 'udp' || protocol === 'dtls'
        ? descriptors.map((descriptor) => ({ port, descriptor }))
        : [],
    )
    this.#set({ kind: 'listeners', listeners })
  }

  #configuration(config: RelayConfig, host: HostAddresses): Configuration {
    for (const { advertise } of host.relayAddresses ?? config.relay.addresses) {
      if (!this.#ports.has(advertise)) this.#ports.set(advertise, new SharedArrayBuffer(PORT_MAP_BYTES))
    }
    return { kind: 'configure', config: this.#withNonceKeys(config), host, ports: this.#ports }
  }

  #withNonceKeys(config: RelayConfig): RelayConfig {
    return config.nonceKeys.length > 0 ? config : { ...config, nonceKeys: this.#nonceKeys }
  }

  #set(setting: Setting): void {
    this.#settings.set(setting.kind, setting)
    this.#tell(setting)
  }

  #tell(command: Command): void {
    for (const shard of this.#shards) shard.tell(command)
  }
}

/** Which descriptors each of so many loops gets. */
function sharesOf(descriptors: readonly number[] = [], loops: number): number[][] {
  return Array.from({ length: loops }, (_, loop) => descriptors.filter((_, index) => index % loops === loop))
}
