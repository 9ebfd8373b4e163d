import { flushCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { PassedClient } from '../../io/adoption.ts'
import { descriptors } from '../../io/linux/descriptors.ts'
import { LinuxIo } from '../../io/linux/linux-io.ts'
import { TransportAddress } from '../../stun/address.ts'
import { formatIp } from '../../stun/address-text.ts'
import { newPortMap } from '../../turn/relay-ports.ts'
import { collectGarbage } from '../collect-garbage.ts'
import { LocalShard } from '../local-shard.ts'
import { newLoopTimes, observeTurn } from '../loop-times.ts'
import type { ShardEvent } from '../shard.ts'
import { SharedQuota } from '../shared-quota.ts'
import { Gauges } from './gauges.ts'
import type { Call, Command, PortMaps, Report, Result, ThreadData } from './messages.ts'

/** Of single allocations the control side hears only while it has a use for it: telling costs as much as a request. */
type Watcher = 'observed' | 'drain'

/** One shard on a thread of its own: it does what it is told, and says what happens. */
class ShardThread {
  readonly #port = parentPort!
  readonly #gauges: Gauges
  readonly #io: LinuxIo
  readonly #shard: LocalShard
  readonly #times = newLoopTimes()
  #ports: PortMaps
  #events: ShardEvent[] = []
  readonly #watchers = new Set<Watcher>()

  constructor({ shard, config, host, ports, relay, count, memory }: ThreadData) {
    this.#ports = ports
    descriptors.share(memory.ledger, shard)
    this.#gauges = new Gauges(memory.gauges)
    this.#io = new LinuxIo({
      thread: { afterTurn: () => this.#show(), observe: (ms) => observeTurn(this.#times, ms) },
    })
    this.#shard = new LocalShard({
      io: this.#io,
      config,
      host,
      unixMs: Date.now,
      onEvent: (event) => this.#note(event),
      quota: new SharedQuota(memory.quota, shard),
      portMap: ({ advertise }) => newPortMap(this.#ports.get(formatIp(advertise))),
      portHolder: shard,
      loops: { relay, own: shard, count },
      onPass: (loop, client) => this.#say({ kind: 'pass', loop, client }),
    })
    this.#port.on('message', (command: Command) => this.#obey(command))
    this.#shard.start()
    this.#say({ kind: 'started', kickFd: this.#io.kickFd })
  }

  #obey(command: Command): void {
    switch (command.kind) {
      case 'tls':
        this.#shard.setTls(command.material)
        break
      case 'configure':
        this.#ports = command.ports
        this.#shard.configure(command.config, command.host)
        break
      case 'drain':
        this.#shard.setDrain(command.alternates)
        this.#watch('drain', command.alternates !== undefined)
        break
      case 'revocations':
        this.#shard.setRevocations(command.revocations)
        break
      case 'observed':
        this.#shard.setObserved(command.observed)
        this.#watch('observed', command.observed)
        break
      case 'listeners':
        this.#shard.setListeners(command.listeners)
        break
      case 'cookies':
        this.#io.handOver!.acceptCookies(command.secrets)
        break
      case 'adopt':
        this.#shard.adopt(revived(command.client))
        this.#say({ kind: 'adopted' })
        break
      case 'tick':
        this.#shard.tick()
        break
      case 'settle':
        flushCompileCache()
        collectGarbage()
        break
      default:
        void this.#answer(command)
    }
    this.#show()
  }

  async #answer(command: Call & { readonly call: number }): Promise<void> {
    const { call } = command
    try {
      this.#say({ kind: 'done', call, ...(await this.#perform(command)) })
    } catch (error) {
      this.#say({ kind: 'failed', call, message: (error as Error).message })
    }
    this.#show()
    if (command.kind === 'close') this.#port.close()
  }

  async #perform(command: Call): Promise<Result> {
    if (command.kind === 'listen') return { listener: await this.#shard.listen(command.options) }
    if (command.kind === 'hand-over') return this.#handOver(command.step)
    if (command.kind === 'close-listener') await this.#shard.closeListener(command.listener)
    else if (command.kind === 'count') await this.#count()
    else await this.#shard.close(command.reason)
    return {}
  }

  async #handOver(step: 'prepare' | 'release' | 'resume' | 'finish'): Promise<Result> {
    const handOver = this.#io.handOver!
    if (step === 'release') return { handed: handOver.release() }
    await handOver[step]()
    return {}
  }

  async #count(): Promise<void> {
    const { counters, traffic, io } = this.#shard.status
    this.#say({ kind: 'counts', counts: { counters, traffic, io, loopTimes: this.#times } })
  }

  #watch(watcher: Watcher, watches: boolean): void {
    const before = this.#watchers.size > 0
    if (watches) this.#watchers.add(watcher)
    else this.#watchers.delete(watcher)
    const now = this.#watchers.size > 0
    if (now !== before) this.#say({ kind: 'live', opened: now ? this.#shard.live() : [] })
  }

  #note(event: ShardEvent): void {
    const single = event.kind !== 'refused' && event.kind !== 'fault'
    if (!single || this.#watchers.size > 0) this.#events.push(event)
  }

  /** After each turn: what is carried now, and what happened meanwhile. */
  #show(): void {
    this.#shard.show(this.#gauges)
    if (this.#events.length === 0) return
    this.#say({ kind: 'events', events: this.#events })
    this.#events = []
  }

  #say(report: Report): void {
    this.#port.postMessage(report)
  }
}

/** Messages carry what objects hold, and not what they are. */
function revived(client: PassedClient): PassedClient {
  return { ...client, local: addressOf(client.local), client: addressOf(client.client) }
}

function addressOf(copy: TransportAddress): TransportAddress {
  return new TransportAddress().copyFrom(copy)
}

new ShardThread(workerData as ThreadData)
