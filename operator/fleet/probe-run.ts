import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { TurnUri } from '../../relay/client/turn-uri.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { explain, isTimeout, type ProbeStep, printable } from './probe-advice.ts'
import {
  openTcp,
  openUdp,
  overTcp,
  overTls,
  type ProbeConnection,
  type ProbeTls,
} from './probe-connection.ts'
import { exchange, type ProbeSide, permit } from './probe-echo.ts'
import { ProbeSession, RequestFailed } from './probe-session.ts'

export interface ProbeOptions {
  readonly username: string
  readonly credential: string
  readonly tls?: ProbeTls | undefined
  readonly stepTimeoutMs?: number | undefined
  readonly totalTimeoutMs?: number | undefined
  /** Ends the check early; what was open is closed. */
  readonly signal?: AbortSignal | undefined
}

export interface StepResult {
  readonly step: ProbeStep
  readonly ok: boolean
  readonly durationMs: number
  /** What was found, or what failed and what to do next. */
  readonly message: string
}

const STEP_TIMEOUT_MS = 5000
const TOTAL_TIMEOUT_MS = 20_000
/** Most addresses of a name that are tried. */
const ADDRESSES_MAX = 4
/** How long a relay may take to confirm that an allocation is given back. */
const RELEASE_TIMEOUT_MS = 500
const CREDENTIAL_REFUSALS: readonly number[] = [
  ERROR.Unauthenticated,
  ERROR.StaleNonce,
  ERROR.WrongCredentials,
]

/** One check of one URL: runs the steps in order until one fails, then gives everything back. */
export class ProbeRun {
  readonly #uri: TurnUri
  readonly #options: ProbeOptions
  readonly #signal: AbortSignal
  readonly #steps: StepResult[] = []
  readonly #sessions: ProbeSession[] = []
  #relayed: string | undefined

  constructor(uri: TurnUri, options: ProbeOptions) {
    this.#uri = uri
    this.#options = options
    const total = AbortSignal.timeout(options.totalTimeoutMs ?? TOTAL_TIMEOUT_MS)
    this.#signal = options.signal ? AbortSignal.any([options.signal, total]) : total
  }

  /** The steps made; the last one failed unless all are ok. */
  async run(): Promise<readonly StepResult[]> {
    try {
      await this.#runSteps()
    } catch (error) {
      if (!this.#steps.some(({ ok }) => !ok)) throw error
    } finally {
      await this.#release()
    }
    return this.#steps
  }

  async #runSteps(): Promise<void> {
    const addresses = await this.#step(
      'resolve',
      (signal) => this.#resolve(signal),
      (all) => all.join(', '),
    )
    const way = await this.#step('connect', (signal) => this.#connectAny(addresses, signal), describeWay)
    const session = way.session ?? (await this.#startStream(way.socket))
    const one = await this.#allocateFirst(session)
    const two = await this.#step(
      'allocate',
      (signal) => this.#allocateSecond(way.address, signal),
      (side) => `${formatAddress(one.relayed)} and ${formatAddress(side.relayed)}`,
    )
    this.#relayed = formatAddress(one.relayed)
    await this.#step(
      'permission',
      (signal) => permit(one, two, signal),
      () => 'each may send to the other',
    )
    await this.#step(
      'echo',
      (signal) => exchange(one, two, signal),
      () => 'the same bytes came through, both ways',
    )
  }

  async #step<T>(
    step: ProbeStep,
    run: (signal: AbortSignal) => Promise<T>,
    describe: (value: T) => string,
  ): Promise<T> {
    const startedAtMs = performance.now()
    try {
      const value = await run(this.#limit())
      this.#record(step, true, performance.now() - startedAtMs, describe(value))
      return value
    } catch (error) {
      this.#recordFailure(step, performance.now() - startedAtMs, error)
      throw error
    }
  }

  #record(step: ProbeStep, ok: boolean, durationMs: number, message: string): void {
    this.#steps.push({ step, ok, durationMs: Math.round(durationMs * 10) / 10, message: printable(message) })
  }

  #recordFailure(step: ProbeStep, durationMs: number, error: unknown): void {
    const message = this.#options.signal?.aborted
      ? 'the check was ended before this step was done'
      : explain(step, error, this.#uri, this.#relayed)
    this.#record(step, false, durationMs, message)
  }

  #limit(share = 1): AbortSignal {
    const ms = Math.ceil((this.#options.stepTimeoutMs ?? STEP_TIMEOUT_MS) * share)
    return AbortSignal.any([this.#signal, AbortSignal.timeout(ms)])
  }

  async #resolve(signal: AbortSignal): Promise<string[]> {
    if (isIP(this.#uri.host) !== 0) return [this.#uri.host]
    const found = await unlessAborted(lookup(this.#uri.host, { all: true }), signal)
    return found.slice(0, ADDRESSES_MAX).map(({ address }) => address)
  }

  /** Tries one address after the other; the last failure counts. */
  async #connectAny(addresses: readonly string[], signal: AbortSignal): Promise<Way> {
    let failure: unknown
    for (const address of addresses) {
      const limit = AbortSignal.any([signal, this.#limit(1 / addresses.length)])
      try {
        return await this.#connect(address, limit)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** TCP to be spoken over, or a UDP session whose Binding request was answered. */
  async #connect(address: string, signal: AbortSignal): Promise<Way> {
    const { protocol, port } = this.#uri
    if (protocol !== 'udp')
      return { address, session: undefined, socket: await openTcp(address, port, signal) }
    const session = this.#session(await openUdp(address, port, signal))
    await session.until(
      (client, now) => client.binding(now),
      (event) => (event.kind === 'mapped' ? true : undefined),
      signal,
    )
    return { address, session, socket: undefined }
  }

  async #startStream(socket: Socket): Promise<ProbeSession> {
    if (this.#uri.protocol === 'tcp') return this.#session(overTcp(socket))
    const connection = await this.#step(
      'tls',
      (signal) => this.#handshake(socket, signal),
      () => this.#describeTls(),
    )
    return this.#session(connection)
  }

  #describeTls(): string {
    const { servername, insecure } = this.#options.tls ?? {}
    return insecure === true ? 'certificate not verified' : `certificate of ${servername ?? this.#uri.host}`
  }

  #handshake(socket: Socket, signal: AbortSignal): Promise<ProbeConnection> {
    return overTls(socket, this.#uri.host, this.#options.tls ?? {}, signal)
  }

  #session(connection: ProbeConnection): ProbeSession {
    const session = new ProbeSession(connection, this.#options.username, this.#options.credential)
    this.#sessions.push(session)
    return session
  }

  /** The step `authenticate` is the first Allocate; when that fails for another reason than the credential, it is `allocate`. */
  async #allocateFirst(session: ProbeSession): Promise<ProbeSide> {
    const startedAtMs = performance.now()
    try {
      const side = await allocateRelayed(session, this.#limit())
      this.#recordAuthenticated(session, startedAtMs)
      return side
    } catch (error) {
      const refused = error instanceof RequestFailed && CREDENTIAL_REFUSALS.includes(error.failure.code)
      const unheard = isTimeout(error) && session.challengedAtMs === undefined
      if (!refused && !unheard) this.#recordAuthenticated(session, startedAtMs)
      const step = refused || unheard ? 'authenticate' : 'allocate'
      this.#recordFailure(step, performance.now() - startedAtMs, error)
      throw error
    }
  }

  #recordAuthenticated(session: ProbeSession, startedAtMs: number): void {
    const { realm } = session.client
    const message = realm === undefined ? 'the relay asks for no credential' : `realm ${realm}`
    this.#record('authenticate', true, performance.now() - startedAtMs, message)
  }

  async #allocateSecond(address: string, signal: AbortSignal): Promise<ProbeSide> {
    const way = await this.#connect(address, signal)
    if (way.session !== undefined) return allocateRelayed(way.session, signal)
    const tls = this.#uri.protocol === 'tls'
    const connection = tls ? await this.#handshake(way.socket, signal) : overTcp(way.socket)
    return allocateRelayed(this.#session(connection), signal)
  }

  /** Gives the allocations back and closes everything. */
  async #release(): Promise<void> {
    const ended = this.#sessions.map((session) => release(session))
    await Promise.all(ended)
  }
}

type Way =
  | { readonly address: string; readonly session: ProbeSession; readonly socket: undefined }
  | { readonly address: string; readonly session: undefined; readonly socket: Socket }

function describeWay(way: Way): string {
  return way.session ? `${way.address} answers` : `${way.address} accepts`
}

function allocateRelayed(session: ProbeSession, signal: AbortSignal): Promise<ProbeSide> {
  return session.until(
    (client, now) => client.allocate(now),
    (event) => (event.kind === 'allocated' ? { session, relayed: event.relayed[0]! } : undefined),
    signal,
  )
}

async function release(session: ProbeSession): Promise<void> {
  try {
    if (!session.allocated) return
    await session.until(
      (client, now) => client.refresh(now, 0),
      (event) => (event.kind === 'closed' ? true : undefined),
      AbortSignal.timeout(RELEASE_TIMEOUT_MS),
    )
  } catch {
    // The relay is gone or does not answer: the allocation ends with its lifetime.
  } finally {
    session.close()
  }
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
