import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import type { RelayAddress, RelayConfigInput } from '../../relay/api/config.ts'
import type { ClusterKey, ObservedRelay } from '../controller/contract.ts'
import type { RelayPorts } from './port-plan.ts'
import { type RelayExit, RelayProcess } from './relay-process.ts'
import { writeAtomically } from './state-directory.ts'

export interface LocalRelayOptions {
  key: ClusterKey
  name: string
  ordinal: number
  revision: string
  /** Directory of this relay's files. */
  directory: (uid: string) => string
  logFile: string
  compileCache: string
  relayMain?: string
  ports: RelayPorts
  controlPort: number
  createdAtMs: number
  /** The process or its state has changed. */
  onChange: () => void
  onWarning: (message: string) => void
}

/** Time that a relay has to say goodbye when it is to go. */
const GOODBYE_MS = 3000

/** What a pod is to Kubernetes: one relay process with its files, from its creation until it was deleted. */
export class LocalRelay {
  readonly uid = randomUUID()
  readonly #token = Buffer.from(randomBytes(32).toString('base64url'))
  readonly options: LocalRelayOptions
  readonly directory: string
  addresses: RelayAddress[] = []
  drain: ObservedRelay['drain']
  terminating = false
  /** Set until its process is started: why it waits. */
  #waiting: { reason: string; message: string } | undefined
  #process: RelayProcess | undefined
  #exit: RelayExit | undefined
  #startTimer: NodeJS.Timeout | undefined
  #killTimer: NodeJS.Timeout | undefined
  #startedAtMs: number | undefined

  constructor(options: LocalRelayOptions) {
    this.options = options
    this.directory = options.directory(this.uid)
    writeAtomically(this.file('token'), this.#token.toString())
    this.publish([])
  }

  get ports(): RelayPorts {
    return this.options.ports
  }

  /** Whether `presented` is the token that this relay reports with. */
  hasToken(presented: string): boolean {
    const bytes = Buffer.from(presented)
    return bytes.length === this.#token.length && timingSafeEqual(bytes, this.#token)
  }

  /** How long its process has run. */
  get livedMs(): number {
    return this.#startedAtMs === undefined ? 0 : performance.now() - this.#startedAtMs
  }

  get ended(): boolean {
    return this.#exit !== undefined
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  writeConfig(config: RelayConfigInput): void {
    // JSON is YAML.
    writeAtomically(this.file('relay.yaml'), `${JSON.stringify(config, null, 2)}\n`)
  }

  /** Reaches a running relay through the file that it watches. */
  publish(addresses: RelayAddress[]): void {
    this.addresses = addresses
    writeAtomically(this.file('addresses.yaml'), `${JSON.stringify(addresses)}\n`)
  }

  /** Starts the process, after a while where its forerunners ended soon. */
  start(delayMs: number, lastEnding: string): void {
    if (delayMs === 0) {
      this.#spawn()
      return
    }
    this.#waiting = {
      reason: 'CrashLoopBackOff',
      message: `starts again in ${Math.ceil(delayMs / 1000)} s; the last process ${lastEnding}`,
    }
    this.#startTimer = setTimeout(() => this.#spawn(), delayMs)
  }

  /** Asks the process to drain and end; one that stays or is not to be waited for is killed. */
  terminate(wait: 'drained' | 'briefly'): void {
    this.terminating = true
    clearTimeout(this.#startTimer)
    if (!this.#process) {
      this.#end({ code: 0, signal: null, lastWords: '' })
      return
    }
    if (this.ended) return
    this.#process.signal('SIGTERM')
    if (wait === 'briefly') this.#killTimer ??= setTimeout(() => this.#process?.signal('SIGKILL'), GOODBYE_MS)
  }

  kill(): void {
    this.terminating = true
    this.#process?.signal('SIGKILL')
  }

  async exited(): Promise<void> {
    await this.#process?.exited
  }

  observe(ready: boolean): ObservedRelay {
    const { name, ordinal, revision, createdAtMs } = this.options
    const trouble = this.#waiting
    return {
      name,
      uid: this.uid,
      ordinal,
      revision,
      createdAtMs,
      phase: this.ended ? 'Ended' : this.#process ? 'Running' : 'Pending',
      ready: ready && !this.ended,
      terminating: this.terminating,
      addresses: this.addresses,
      ...(trouble ? { trouble } : {}),
      ...(this.drain ? { drain: this.drain } : {}),
    }
  }

  /** How the process ended, in words. */
  get ending(): string {
    if (!this.#exit) return ''
    const { code, signal, lastWords } = this.#exit
    const how = signal ? `was ended by ${signal}` : `ended with code ${code}`
    return lastWords ? `${how}: ${lastWords}` : how
  }

  #spawn(): void {
    this.#waiting = undefined
    this.#startedAtMs = performance.now()
    this.#process = new RelayProcess({
      directory: this.directory,
      configFile: this.file('relay.yaml'),
      logFile: this.options.logFile,
      compileCache: this.options.compileCache,
      onWarning: this.options.onWarning,
      ...(this.options.relayMain === undefined ? {} : { relayMain: this.options.relayMain }),
    })
    void this.#process.exited.then((exit) => this.#end(exit))
    this.options.onChange()
  }

  #end(exit: RelayExit): void {
    clearTimeout(this.#killTimer)
    this.#exit = exit
    this.options.onChange()
  }
}
