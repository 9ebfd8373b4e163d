import { isDeepStrictEqual } from 'node:util'
import type { Alternate } from '../api/alternate.ts'
import type { RelayConfig } from '../api/config.ts'
import type { Directives } from '../api/load-report.ts'
import { NO_REVOCATIONS } from '../api/revocations.ts'
import type { ChosenShards } from '../shard/create-shards.ts'
import type { ShardEvent } from '../shard/shard.ts'
import type { Shards } from '../shard/shards.ts'
import type { HostAddresses } from '../turn/server-config.ts'
import { EventFeed } from './event-feed.ts'
import { EventLog } from './event-log.ts'
import { EveryAddress } from './every-address.ts'
import { Succession } from './hand-over/succession.ts'
import { type AddressPair, hostAddresses, wantedListeners, withBinds } from './host-addresses.ts'
import { Lifecycle } from './lifecycle.ts'
import { ListenerSet } from './listener-set.ts'
import type { Logger } from './log.ts'
import type { Loaded, Problem, Settings } from './settings.ts'
import type { RelayStatus } from './status.ts'
import { capacityOf, summaryOf } from './summary.ts'

export interface RelayOptions {
  readonly chosen: ChosenShards
  readonly log: Logger
  readonly version: string
  readonly identity: RelayStatus['identity']
  /** Where the control server is to be bound. */
  readonly control: { readonly address: string; readonly port: number }
  readonly reports: () => Pick<RelayStatus, 'reportsSent' | 'reportsFailed'>
  /** `--take-over`: the listeners are those of the relay at `handOver.socket`. */
  readonly takesOver: boolean
  /** Called when the operator should hear of a change at once. */
  readonly changed: () => void
}

/** One relay: the TURN server on its I/O, kept in step with its settings. */
export class Relay {
  readonly lifecycle = new Lifecycle()
  /** Where the control server is bound: never a peer. */
  control: RelayOptions['control']
  readonly #options: RelayOptions
  readonly #shards: Shards
  readonly #succession: Succession
  readonly #everyAddress: EveryAddress
  readonly #listeners: ListenerSet
  /** For whoever wants to hear of allocations. */
  readonly feed: EventFeed
  readonly #events: EventLog
  readonly #startedAtMs = Date.now()
  #settings: Settings
  #addresses: AddressPair[] = []
  #problems: readonly Problem[] = []
  #listenProblems: Problem[] = []
  #generation = 0
  #errors = 0
  #faults = 0
  #certificate: Settings['certificate']
  /** Of the session tickets: the fleet's newest nonce key. */
  #ticketSecret: string | undefined
  #revocations = NO_REVOCATIONS
  /** What the operator said last. */
  #directedRevocations = NO_REVOCATIONS

  /** Throws an Error that says which entry of the settings cannot be used. */
  constructor({ settings }: Loaded, options: RelayOptions) {
    this.#options = options
    this.control = options.control
    this.#settings = settings
    this.#addresses = withBinds(settings.addresses, hostAddresses())
    this.#shards = options.chosen.create({
      config: this.#configInForce(settings, settings.config.listeners),
      host: this.#host(),
      onEvent: (event) => this.#onEvent(event),
    })
    this.#succession = new Succession({
      shards: this.#shards,
      path: settings.config.handOver?.socket,
      takesOver: options.takesOver,
      log: options.log,
      handedOver: () => {
        this.lifecycle.handOver(this.#shards.now())
        options.changed()
      },
      takenBack: () => void this.bindListeners(),
    })
    this.#everyAddress = new EveryAddress(this.#succession.listening, hostAddresses)
    this.#listeners = new ListenerSet(this.#everyAddress)
    const log = options.log.isLevelEnabled('debug')
    this.feed = new EventFeed(Date.now, (wanted) => this.#shards.setObserved(wanted || log))
    this.#shards.setObserved(log)
    this.#events = new EventLog(options.log, () => this.#shards.now())
  }

  /** Binds the listeners; rejects with what is wrong and how to mend it where one cannot be had. */
  async start(loaded: Loaded): Promise<void> {
    this.#shards.start()
    await this.apply(loaded)
    if (this.#listenProblems[0]) throw new Error(this.#listenProblems[0].message)
    await this.#succession.complete()
    this.#shards.settle()
  }

  /** Puts new settings in force; what cannot be is left as it was and named in `status().problems`. */
  async apply({ settings, problems }: Loaded): Promise<void> {
    this.#problems = problems
    this.#errors += problems.length
    for (const { reason, message } of problems) this.#options.log.warn({ reason }, message)
    if (this.#generation > 0 && isDeepStrictEqual(settings, this.#settings)) {
      this.#options.changed()
      return
    }
    this.#addresses = withBinds(settings.addresses, hostAddresses())
    this.#takeCertificate(settings)
    this.#takeMachineConfig(settings)
    this.#takeRevocations()
    if (this.#generation === 0) await this.#succession.begin()
    await this.bindListeners()
    if (this.#listeners.complete) this.lifecycle.markListening()
    this.#generation++
    const summary = summaryOf({
      generation: this.#generation,
      config: this.#settings.config,
      addresses: this.#addresses,
      listeners: this.#listeners.bound,
      certificate: this.#certificate,
      chosen: this.#options.chosen,
    })
    this.#options.log.info(summary, 'configuration in force')
    this.#options.changed()
  }

  /** Tries again for the listeners that could not be had. */
  async bindListeners(): Promise<void> {
    if (!this.#succession.settled) return
    const before = this.#listenProblems.map(({ message }) => message)
    const boundBefore = this.#listeners.bound.map(({ id }) => id).join()
    const failures = await this.#listeners.reconcile(wantedListeners(this.#settings.config, this.#addresses))
    this.#listenProblems = failures.map((message) => ({ reason: 'ListenFailed', message }))
    for (const message of failures) {
      if (!before.includes(message)) this.#options.log.error({ reason: 'ListenFailed' }, message)
    }
    // The peer policy keeps clients away from the listeners' ports, which the system may have chosen.
    if (this.#listeners.bound.map(({ id }) => id).join() !== boundBefore)
      this.#takeMachineConfig(this.#settings)
    if (this.#listeners.complete) this.lifecycle.markListening()
  }

  /** To be called now and then: tries again for what could not be had, and follows the addresses of the host. */
  async refreshListeners(): Promise<void> {
    if (!this.#succession.settled) return
    if (this.#listenProblems.length > 0) await this.bindListeners()
    if (await this.#everyAddress.refresh()) this.#takeMachineConfig(this.#settings)
  }

  get config(): RelayConfig {
    return this.#settings.config
  }

  get allocations(): number {
    return this.#shards.status.allocations
  }

  /** What the operator wants. */
  direct({ drain, alternates, revocations, events }: Directives): void {
    this.feed.report(events ?? false)
    if (revocations) {
      this.#directedRevocations = revocations
      this.#takeRevocations()
    }
    const wasDraining = this.lifecycle.draining
    this.lifecycle.direct(drain)
    this.#syncDrain(alternates)
    if (this.lifecycle.draining === wasDraining) return
    this.#options.log.info({ allocations: this.allocations }, drain ? 'draining' : 'serving again')
    this.#options.changed()
  }

  /** SIGTERM. */
  terminate(): void {
    this.lifecycle.terminate(this.#shards.now())
    if (!this.#shards.status.draining) this.#syncDrain([])
    this.#options.log.info({ allocations: this.allocations }, 'told to end: draining')
    this.#options.changed()
  }

  /** The exit code when the process is to end now. */
  exitCode(): number | undefined {
    const { maxDurationSeconds } = this.config.drain
    const { allocations, io } = this.#shards.status
    return this.lifecycle.exitCode({
      allocations,
      connections: io.streamsOpen + io.dtlsSessionsOpen,
      nowMs: this.#shards.now(),
      maxDrainMs: maxDurationSeconds * 1000,
      supervised: this.config.operator !== undefined,
    })
  }

  /** To be called every second. */
  tick(): void {
    this.#shards.tick()
    void this.count()
  }

  /** Brings the counters of `status` up to date. */
  count(): Promise<void> {
    return this.#shards.count()
  }

  async close(): Promise<void> {
    this.#succession.close()
    await this.#shards.close('shutdown')
  }

  status(): RelayStatus {
    const { config } = this.#settings
    const shards = this.#shards.status
    return {
      identity: this.#options.identity,
      version: this.#options.version,
      startedAtMs: this.#startedAtMs,
      state: this.lifecycle.state(shards.allocations),
      ...shards,
      capacity: capacityOf(config, this.#addresses),
      faults: this.#faults,
      addresses: this.#addresses.map(({ advertise }) => advertise),
      listeners: withRealms(this.#listeners.bound, this.#settings.config),
      handOver: this.#succession.offer,
      listening: this.#listeners.complete,
      keyIds: config.credentials.keys.map(({ id }) => id),
      users: config.credentials.users.length,
      certificate: this.#certificate,
      problems: [
        ...this.#problems,
        ...this.#listenProblems,
        ...shards.problems.map((message) => ({ reason: 'EventLoopStuck' as const, message })),
      ],
      configGeneration: this.#generation,
      configErrors: this.#errors,
      revocations: this.#revocations,
      ...this.#options.reports(),
    }
  }

  #syncDrain(directed: readonly Alternate[]): void {
    const alternates = directed.length > 0 ? directed : this.#settings.config.drain.alternates
    this.#shards.setDrain(this.lifecycle.draining ? alternates : undefined)
  }

  /** Of the file and of the operator's directive the newer list: either may lag behind. */
  #takeRevocations(): void {
    const { revocations: ofFile } = this.#settings
    const directed = this.#directedRevocations
    const list = directed.generation > ofFile.generation ? directed : ofFile
    if (isDeepStrictEqual(list, this.#revocations)) return
    this.#revocations = list
    this.#shards.setRevocations(list.entries)
    const { generation, entries } = list
    this.#options.log.info({ generation, entries: entries.length }, 'revocations in force')
    this.#options.changed()
  }

  #takeCertificate({ certificate, config }: Settings): void {
    const ticketSecret = config.nonceKeys[0]?.secret
    const known = certificate?.fingerprint === this.#certificate?.fingerprint
    if (!certificate || (known && ticketSecret === this.#ticketSecret)) return
    this.#shards.setTls({ ...certificate.material, ticketSecret })
    this.#certificate = certificate
    this.#ticketSecret = ticketSecret
  }

  #takeMachineConfig(settings: Settings): void {
    try {
      this.#shards.configure(this.#configInForce(settings, this.#listeners.bound), this.#host())
      this.#settings = settings
    } catch (error) {
      const { message } = error as Error
      this.#problems = [...this.#problems, { reason: 'InvalidConfig', message }]
      this.#errors++
      this.#options.log.warn({ reason: 'InvalidConfig' }, message)
    }
  }

  /** The configuration with the addresses that are bound, which the system may have chosen. */
  #configInForce(
    { config }: Pick<Settings, 'config'>,
    bound: readonly RelayConfig['listeners'][number][],
  ): RelayConfig {
    const listeners = withRealms(bound, config)
    return {
      ...config,
      listeners: bound.length > 0 ? listeners : config.listeners,
      control: this.control,
    }
  }

  #host(): HostAddresses {
    return { relayAddresses: this.#addresses, own: hostAddresses() }
  }

  #onEvent(event: ShardEvent): void {
    if (event.kind === 'fault') this.#faults++
    this.#events.write(event)
    if (event.kind !== 'fault' && event.kind !== 'refused') this.feed.write(event)
    if (event.kind === 'allocation-closed' && this.lifecycle.draining && this.allocations === 0) {
      this.#options.changed()
    }
  }
}

/** Realms belong to ports that the system has not chosen. */
function withRealms<L extends Pick<RelayConfig['listeners'][number], 'protocol' | 'port'>>(
  bound: readonly L[],
  { listeners }: Pick<RelayConfig, 'listeners'>,
): (L & { realm: string | undefined })[] {
  return bound.map((one) => {
    const same = listeners.find(({ protocol, port }) => protocol === one.protocol && port === one.port)
    return { ...one, realm: same?.realm }
  })
}
