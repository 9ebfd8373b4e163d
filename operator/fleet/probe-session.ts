import { performance } from 'node:perf_hooks'
import type { ClientEvent } from '../../relay/client/contract.ts'
import { TurnClient } from '../../relay/client/turn-client.ts'
import { nodeCrypto } from './node-crypto.ts'
import type { ProbeConnection } from './probe-connection.ts'

/** Short retransmissions: a probe has seconds, not the 39.5 of RFC 8489 §6.2.1. */
const RTO_MS = 250

type Failed = Extract<ClientEvent, { kind: 'failed' }>

/** The relay refused a request or answered it badly. */
export class RequestFailed extends Error {
  readonly failure: Failed

  constructor(failure: Failed) {
    super(failure.reason || `error ${failure.code}`)
    this.failure = failure
  }
}

/** One TURN client over one connection, with promises for its events. */
export class ProbeSession {
  readonly client: TurnClient
  /** When the relay first asked for credentials. */
  challengedAtMs: number | undefined
  /** Whether the relay holds an allocation for this session. */
  allocated = false
  readonly #connection: ProbeConnection
  readonly #listeners = new Set<(event: ClientEvent | Error) => void>()
  #timer: NodeJS.Timeout | undefined
  #ended: Error | undefined

  constructor(connection: ProbeConnection, username: string, password: string) {
    const { transport } = connection
    this.client = new TurnClient({
      transport,
      username,
      password,
      crypto: nodeCrypto,
      timing: { rtoMs: RTO_MS },
    })
    this.#connection = connection
    connection.attach(
      (buffer, offset, length) => {
        this.client.handleData(buffer, offset, length, performance.now())
        this.#pump()
      },
      (error) => this.#end(error),
    )
  }

  /** Starts something and waits for the first event that `pick` turns into a value; a failed request rejects. */
  async until<T>(
    start: (client: TurnClient, now: number) => void,
    pick: (event: ClientEvent) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const hear = (event: ClientEvent | Error) => {
      if (event instanceof Error) return reject(event)
      if (event.kind === 'failed') return reject(new RequestFailed(event))
      const value = pick(event)
      if (value !== undefined) resolve(value)
    }
    const abort = () => reject(signal.reason)
    this.#listeners.add(hear)
    signal.addEventListener('abort', abort, { once: true })
    try {
      if (this.#ended) throw this.#ended
      this.act(start)
      return await promise
    } finally {
      this.#listeners.delete(hear)
      signal.removeEventListener('abort', abort)
    }
  }

  /** Starts something that nothing answers. */
  act(start: (client: TurnClient, now: number) => void): void {
    if (this.#ended) return
    start(this.client, performance.now())
    this.#pump()
  }

  close(): void {
    this.#end(new Error('the check is over'))
    this.#connection.close()
  }

  #end(error: Error): void {
    if (this.#ended) return
    this.#ended = error
    clearTimeout(this.#timer)
    for (const hear of this.#listeners) hear(error)
  }

  /** Sends, reports and sets the timer: after everything that touched the client. */
  #pump(): void {
    if (this.#ended) return
    for (let bytes = this.client.nextTransmit(); bytes; bytes = this.client.nextTransmit()) {
      this.#connection.send(bytes)
    }
    if (this.client.realm !== undefined) this.challengedAtMs ??= performance.now()
    for (let event = this.client.nextEvent(); event; event = this.client.nextEvent()) {
      if (event.kind === 'allocated') this.allocated = true
      for (const hear of this.#listeners) hear(event)
    }
    clearTimeout(this.#timer)
    const next = this.client.pollTimeout()
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(
      () => {
        this.client.handleTimeout(performance.now())
        this.#pump()
      },
      Math.max(0, next - performance.now()),
    )
  }
}
