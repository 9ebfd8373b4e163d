import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { LoadReport } from '../api/load-report.ts'
import { type ChosenShards, chooseShards } from '../shard/create-shards.ts'
import { EventStreams } from './event-stream.ts'
import { FileWatch } from './file-watch.ts'
import { ControlServer } from './http-server.ts'
import { type IdentityFlags, identityOf } from './identity.ts'
import { settle } from './lean-start.ts'
import { createLogger, type Logger } from './log.ts'
import { Metrics } from './metrics.ts'
import { Relay } from './relay.ts'
import { ReportClient } from './report-client.ts'
import { type Loaded, SettingsFiles } from './settings.ts'
import { loadReportOf } from './status.ts'

export interface RunOptions extends IdentityFlags {
  readonly configFile: string
  readonly logLevel: string
  /** The listeners are those of the relay at `handOver.socket`. */
  readonly takesOver: boolean
  readonly environment: NodeJS.ProcessEnv
}

const TICK_MS = 1_000
/** Ticks between two tries for listeners that could not be had. */
const LISTEN_RETRY_TICKS = 5
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/** Runs one relay until it has drained; resolves with the exit code, rejects where it cannot start. */
export async function run(options: RunOptions): Promise<number> {
  const process = await RelayProcess.start(options)
  const code = await process.ended
  await process.close(code)
  return code
}

/** A relay with all that surrounds it in its process: control server, reports, file watch, signals. */
class RelayProcess {
  readonly ended: Promise<number>
  readonly #log: Logger
  readonly #files: SettingsFiles
  readonly #relay: Relay
  readonly #server: ControlServer
  readonly #client: ReportClient
  readonly #watch: FileWatch
  readonly #onSignal = () => this.#relay.terminate()
  /** The files are watched anyway; who sends SIGHUP out of habit must not end the calls. */
  readonly #onReload = () => this.#reload()
  #end: (code: number) => void = () => undefined
  #loaded: Loaded
  #ticker: NodeJS.Timeout | undefined
  #ticks = 0
  #reports = 0

  static async start(options: RunOptions): Promise<RelayProcess> {
    const files = new SettingsFiles(options.configFile)
    const loaded = files.load()
    const chosen = await chooseShards(loaded.settings.config)
    const running = new RelayProcess(options, files, loaded, chosen)
    try {
      await running.#start(loaded)
    } catch (error) {
      // A process that exits under threads which wait for packets does so slowly, if cleanly at all.
      await running.#relay.close()
      throw error
    }
    return running
  }

  private constructor(options: RunOptions, files: SettingsFiles, loaded: Loaded, chosen: ChosenShards) {
    const { config } = loaded.settings
    this.#log = createLogger(options.logLevel)
    for (const note of chosen.notes) this.#log.warn(note)
    this.#files = files
    this.#loaded = loaded
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#relay = new Relay(loaded, {
      chosen,
      takesOver: options.takesOver,
      log: this.#log,
      version: productVersion(),
      identity: identityOf(options, options.environment, config),
      control: { ...config.control, ...controlPort(options.environment) },
      reports: () => ({ reportsSent: this.#client.sent, reportsFailed: this.#client.failed }),
      changed: () => this.#onChange(),
    })
    const status = () => this.#relay.status()
    this.#server = new ControlServer(status, new Metrics(status), new EventStreams(this.#relay.feed), () =>
      this.#relay.count(),
    )
    this.#client = new ReportClient({
      operator: () => this.#relay.config.operator,
      report: () => this.#report(),
      directed: (directives, report) => {
        if (report.events) this.#relay.feed.confirm(report.events)
        this.#relay.direct(directives)
      },
      reachable: (reachable, why) => this.#logReachable(reachable, why),
    })
    this.#watch = new FileWatch(() => this.#reload())
  }

  /** Ends what `run` started; calls that are still alive are cut. */
  async close(code: number): Promise<void> {
    const { allocations } = this.#relay
    this.#log.info({ code, allocations }, code === 0 ? 'drained; ending' : 'ending with live allocations')
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    process.off('SIGHUP', this.#onReload)
    clearInterval(this.#ticker)
    this.#watch.close()
    this.#client.stop()
    await Promise.all([this.#server.close(), this.#relay.close()])
  }

  async #start(loaded: Loaded): Promise<void> {
    const control = await this.#server.listen(this.#relay.control.address, this.#relay.control.port)
    this.#relay.control = { address: control.address, port: control.port }
    await this.#relay.start(loaded)
    this.#watch.setFiles(loaded.files)
    this.#client.start()
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    process.on('SIGHUP', this.#onReload)
    this.#ticker = setInterval(() => this.#tick(), TICK_MS)
    const { identity, version, listeners, addresses, capacity } = this.#relay.status()
    const bound = listeners.map(({ protocol, address, port }) => ({ protocol, address, port }))
    this.#log.info(
      { pid: process.pid, ...identity, version, control, listeners: bound, addresses, capacity },
      'ready',
    )
    settle()
  }

  #report(): LoadReport {
    const events = this.#relay.feed.batch()
    return { ...loadReportOf(this.#relay.status(), this.#reports++), ...(events && { events }) }
  }

  #reload(): void {
    const loaded = this.#files.load()
    this.#watch.setFiles(loaded.files)
    // A file can be touched, or looked at once more after the start, without saying anything new.
    if (isDeepStrictEqual(loaded, this.#loaded)) return
    this.#loaded = loaded
    this.#relay.apply(loaded).catch((error: Error) => {
      this.#log.error({ err: error }, 'the new configuration is in force only in part')
    })
  }

  #tick(): void {
    this.#relay.tick()
    if (++this.#ticks % LISTEN_RETRY_TICKS === 0) void this.#relay.refreshListeners()
    this.#endIfDone()
  }

  #onChange(): void {
    this.#client.soon()
    this.#endIfDone()
  }

  #endIfDone(): void {
    const code = this.#relay.exitCode()
    if (code !== undefined) this.#end(code)
  }

  #logReachable(reachable: boolean, why?: string): void {
    if (reachable) this.#log.info('the operator takes reports again')
    else this.#log.warn({ why }, 'the operator takes no reports; serving goes on unchanged')
  }
}

/** What the operator's pods set, since two relays on one node need two control ports. */
function controlPort(environment: NodeJS.ProcessEnv): { port?: number } {
  const text = environment.TURNFLEET_CONTROL_PORT
  if (text === undefined) return {}
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return { port }
  throw new Error(`TURNFLEET_CONTROL_PORT is "${text}"; set it to a port number or unset it`)
}

function productVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest && 'version' in manifest
    ? String(manifest.version)
    : 'unknown'
}
