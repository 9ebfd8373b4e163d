import type { BoundListener, ListenerOptions, RelayIo } from '../io/io.ts'

type ListenerIo = Pick<RelayIo, 'listen' | 'closeListener'>

/** The listeners that are bound, brought step by step to those that are wanted. */
export class ListenerSet {
  readonly #io: ListenerIo
  readonly #bound = new Map<string, BoundListener>()
  #missing = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(io: ListenerIo) {
    this.#io = io
  }

  get bound(): BoundListener[] {
    return [...this.#bound.values()]
  }

  /** True when every wanted listener is bound and there is one. */
  get complete(): boolean {
    return this.#missing === 0 && this.#bound.size > 0
  }

  /** Opens what is new, then closes what is no longer wanted; returns why some could not be had. */
  reconcile(wanted: readonly ListenerOptions[]): Promise<string[]> {
    const next = this.#last.then(() => this.#reconcile(wanted))
    this.#last = next.catch(() => undefined)
    return next
  }

  async #reconcile(wanted: readonly ListenerOptions[]): Promise<string[]> {
    const byKey = new Map(wanted.map((options, index) => [keyOf(options, index), options]))
    let failures = await this.#open(byKey)
    const closed = await this.#closeAllBut(byKey)
    // What was closed may have stood in the way: 0.0.0.0 of an address of its own, say.
    if (failures.length > 0 && closed) failures = await this.#open(byKey)
    this.#missing = failures.length
    return failures
  }

  async #open(wanted: ReadonlyMap<string, ListenerOptions>): Promise<string[]> {
    const failures: string[] = []
    for (const [key, options] of wanted) {
      if (this.#bound.has(key)) continue
      try {
        this.#bound.set(key, await this.#io.listen(options))
      } catch (error) {
        failures.push((error as Error).message)
      }
    }
    return failures
  }

  async #closeAllBut(wanted: ReadonlyMap<string, ListenerOptions>): Promise<boolean> {
    const gone = [...this.#bound].filter(([key]) => !wanted.has(key))
    for (const [key, { id }] of gone) {
      this.#bound.delete(key)
      await this.#io.closeListener(id)
    }
    return gone.length > 0
  }
}

/** Listeners on port 0 are told apart by their place. */
function keyOf({ protocol, address, port, proxyFrom = [] }: ListenerOptions, index: number): string {
  return [protocol, address, port === 0 ? `any ${index}` : port, ...proxyFrom].join(' ')
}
