import type { HandedListeners } from '../../io/hand-over.ts'
import type { Shards, ShardsHandOver } from '../../shard/shards.ts'
import type { Logger } from '../log.ts'
import { AdoptedListeners } from './adopted-listeners.ts'
import { type Handing, HandOverDesk } from './hand-over-desk.ts'
import { probe } from './probe.ts'
import { TakeOver } from './take-over.ts'

export interface SuccessionOptions {
  readonly shards: Shards
  /** `handOver.socket` of the configuration. */
  readonly path: string | undefined
  /** `--take-over`. */
  readonly takesOver: boolean
  readonly log: Logger
  /** The listeners are not read here any more. */
  readonly handedOver: () => void
  /** They are read again. */
  readonly takenBack: () => void
}

/** How the listeners come from the relay before, and go to the next one (ADR 0011). */
export class Succession implements Handing {
  /** Listens on the sockets of the relay before. */
  readonly listening: AdoptedListeners
  readonly #options: SuccessionOptions
  #takeOver: TakeOver | undefined
  #desk: HandOverDesk | undefined
  #offered = false
  #state: 'here' | 'going' | 'gone' = 'here'

  constructor(options: SuccessionOptions) {
    this.#options = options
    this.listening = new AdoptedListeners(options.shards)
  }

  /** Whether listeners may be opened and closed. */
  get settled(): boolean {
    return this.#state === 'here'
  }

  /** What the operator is told: the next relay may have the listeners, or has them. */
  get offer(): 'offered' | 'done' | undefined {
    if (this.#state === 'gone') return 'done'
    return this.#offered ? 'offered' : undefined
  }

  /** Before the listeners are bound for the first time, and when all else is ready: asks for those of the relay before. */
  async begin(): Promise<void> {
    const { path, takesOver, log } = this.#options
    if (!takesOver) return
    if (!path) throw new Error('--take-over needs handOver.socket in the configuration')
    await this.#proveOnSparePort()
    this.#takeOver = await TakeOver.reach(path)
    if (!this.#takeOver) {
      log.info({ path }, 'no relay to take over from; opening the listeners')
      this.listening.join()
      return
    }
    const { DescriptorBox } = await import('../../io/linux/hand-over/descriptor-box.ts')
    const box = new DescriptorBox(`${path}.${process.pid}`)
    try {
      const { sockets, cookieSecrets } = await this.#takeOver.take(box)
      this.#handOver.acceptCookies(cookieSecrets)
      this.listening.adopt(sockets)
    } finally {
      box.close()
    }
  }

  /** The listeners are bound: proves it to the relay before, and is there for the next one. */
  async complete(): Promise<void> {
    const { path, shards, log } = this.#options
    if (this.#takeOver) {
      const { close } = await import('../../io/linux/ffi.ts')
      for (const { descriptor } of this.listening.takeRest()) close(descriptor)
      await Promise.all(this.listening.direct.map(probe))
      await this.#takeOver.confirm()
      log.info({ sockets: this.listening.adopted }, 'listeners taken over')
    }
    if (!path || !shards.handOver) return
    const { putDescriptors } = await import('../../io/linux/hand-over/descriptor-box.ts')
    this.#desk = new HandOverDesk({ path, handing: this, put: putDescriptors, log })
    await this.#desk.open()
    this.#offered = true
  }

  close(): void {
    this.#desk?.close()
  }

  async release(): Promise<HandedListeners> {
    this.#state = 'going'
    try {
      await this.#handOver.prepare()
      return await this.#handOver.release()
    } catch (error) {
      this.#state = 'here'
      throw error
    }
  }

  takeBack(why: string): void {
    this.#handOver.resume()
    this.#state = 'here'
    this.#options.log.warn({ why }, 'the listeners are read here again')
    this.#options.takenBack()
  }

  async finish(): Promise<void> {
    await this.#handOver.finish()
    this.#state = 'gone'
    const { shards, log } = this.#options
    log.info({ allocations: shards.status.allocations }, 'listeners handed over')
    this.#options.handedOver()
  }

  async #proveOnSparePort(): Promise<void> {
    const { shards } = this.#options
    const spare = await shards.listen({ protocol: 'udp', address: '127.0.0.1', port: 0 })
    try {
      await probe({ transport: 'udp', address: spare.address, port: spare.port })
    } finally {
      await shards.closeListener(spare.id)
    }
  }

  get #handOver(): ShardsHandOver {
    const { handOver } = this.#options.shards
    if (!handOver) throw new Error('this data path cannot hand its listeners over')
    return handOver
  }
}
