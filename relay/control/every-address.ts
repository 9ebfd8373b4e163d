import type { BoundListener, ListenerOptions, RelayIo } from '../io/io.ts'

/** Above so many a listener holds the unspecified address itself. */
const ADDRESSES_MAX = 256
/** Ports that the system chose on the first address and that others may have taken on another. */
const PORT_TRIES_MAX = 5

type Listening = Pick<RelayIo, 'listen' | 'closeListener'>

/** A listener on an unspecified address: one on each address that the host has. */
interface Group {
  readonly options: ListenerOptions
  readonly port: number
  readonly byAddress: Map<string, BoundListener>
}

/**
 * Listens for datagrams on every address of the host one by one, where 0.0.0.0 or :: is asked for: a socket on the
 * unspecified address would answer from whatever address the system's routes choose, and a client takes answers
 * from none but the address it asked.
 */
export class EveryAddress implements Listening {
  readonly #io: Listening
  readonly #addresses: () => readonly string[]
  readonly #groups = new Map<number, Group>()
  /** Listeners on one address, which those on all leave out. */
  readonly #single = new Map<number, BoundListener>()
  #last: Promise<unknown> = Promise.resolve()

  /** `addresses` names those that the host has now. */
  constructor(io: Listening, addresses: () => readonly string[]) {
    this.#io = io
    this.#addresses = addresses
  }

  listen(options: ListenerOptions): Promise<BoundListener> {
    return this.#next(() => this.#listen(options))
  }

  closeListener(id: number): Promise<void> {
    return this.#next(async () => {
      const group = this.#groups.get(id)
      this.#groups.delete(id)
      this.#single.delete(id)
      if (group) await this.#close(group)
      else await this.#io.closeListener(id)
    })
  }

  /**
   * To be called now and then: takes up the addresses that are new and lets go of those that the host has no more;
   * says whether there were any.
   */
  refresh(): Promise<boolean> {
    return this.#next(async () => {
      let changed = false
      for (const group of this.#groups.values()) changed = (await this.#refresh(group)) || changed
      return changed
    })
  }

  /** One after the other. */
  #next<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work)
    this.#last = next.catch(() => undefined)
    return next
  }

  async #listen(options: ListenerOptions): Promise<BoundListener> {
    const addresses = this.#of(options)
    if (addresses.length === 0) {
      const bound = await this.#io.listen(options)
      this.#single.set(bound.id, bound)
      return bound
    }
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#listenOn(options, addresses)
      } catch (error) {
        const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (!taken || options.port !== 0 || attempt === PORT_TRIES_MAX) throw error
      }
    }
  }

  async #refresh(group: Group): Promise<boolean> {
    const { byAddress } = group
    const addresses = this.#of(group.options)
    const before = [...byAddress.keys()].join()
    for (const address of addresses) {
      if (!byAddress.has(address)) await this.#add(group, address).catch(() => undefined)
    }
    for (const [address, { id }] of [...byAddress]) {
      if (addresses.includes(address) || byAddress.size === 1) continue
      byAddress.delete(address)
      await this.#io.closeListener(id)
    }
    return [...byAddress.keys()].join() !== before
  }

  async #listenOn(options: ListenerOptions, addresses: readonly string[]): Promise<BoundListener> {
    const { protocol, address } = options
    let group: Group | undefined
    try {
      for (const each of addresses) {
        if (group) await this.#add(group, each)
        else {
          const first = await this.#io.listen({ ...options, address: each })
          group = { options, port: first.port, byAddress: new Map([[each, first]]) }
        }
      }
    } catch (error) {
      if (group) await this.#close(group)
      throw error
    }
    const { port, byAddress } = group!
    const { id } = byAddress.values().next().value!
    this.#groups.set(id, group!)
    return { id, protocol, address, port }
  }

  /** An address that has gone meanwhile, or is not ready yet, is no fault. */
  async #add({ options, port, byAddress }: Group, address: string): Promise<void> {
    try {
      byAddress.set(address, await this.#io.listen({ ...options, address, port }))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw error
    }
  }

  async #close({ byAddress }: Group): Promise<void> {
    for (const { id } of byAddress.values()) await this.#io.closeListener(id)
  }

  /** The addresses to listen on one by one; none where the one that is asked for is to be bound as it is. */
  #of({ protocol, address, port }: ListenerOptions): string[] {
    if (protocol === 'tcp' || protocol === 'tls') return []
    if (address !== '0.0.0.0' && address !== '::') return []
    const held = [...this.#single.values()]
      .filter((one) => one.protocol === protocol && one.port === port)
      .map((one) => one.address)
    const own = this.#addresses().filter((one) => one.includes(':') === address.includes(':'))
    const free = [...new Set(own)].filter((one) => !isLinkLocal(one) && !held.includes(one))
    return free.length > ADDRESSES_MAX ? [] : free
  }
}

/** Bound with a zone only, which no client names. */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address)
}
