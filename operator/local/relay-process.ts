import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const RELAY_MAIN = fileURLToPath(new URL('../../relay/main.ts', import.meta.url))
const END_WITH_PARENT = new URL('./end-with-parent.ts', import.meta.url).href
const LOG_BYTES_MAX = 10_000_000
const LINE_LENGTH_MAX = 4096
/** pino's number for warnings. */
const LEVEL_WARN = 40

export interface RelayExit {
  code: number | null
  signal: NodeJS.Signals | null
  /** The last thing it complained of. */
  lastWords: string
}

export interface RelayProcessOptions {
  directory: string
  configFile: string
  logFile: string
  /** Where Node keeps compiled modules: relays then start faster and hold a fifth less memory. */
  compileCache: string
  onWarning: (message: string) => void
  /** Another program in place of the relay's. */
  relayMain?: string
}

/** One relay as a child process. */
export class RelayProcess {
  readonly exited: Promise<RelayExit>
  readonly #child: ChildProcess
  readonly #log: BoundedLog
  readonly #onWarning: (message: string) => void
  #lastWords = ''

  constructor({ directory, configFile, logFile, compileCache, onWarning, relayMain }: RelayProcessOptions) {
    this.#onWarning = onWarning
    this.#log = new BoundedLog(logFile)
    this.#child = spawn(
      process.execPath,
      [
        '--disable-warning=ExperimentalWarning',
        '--import',
        END_WITH_PARENT,
        relayMain ?? RELAY_MAIN,
        '--config',
        configFile,
      ],
      // A group of its own: Ctrl-C in a terminal is for the parent, which ends its relays in order.
      {
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        detached: true,
        cwd: directory,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
      },
    )
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => this.#heard(line))
    }
    this.exited = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve({ code: null, signal: null, lastWords: error.message }))
      this.#child.once('close', (code, signal) => resolve({ code, signal, lastWords: this.#lastWords }))
    })
    void this.exited.then(() => this.#log.close())
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  signal(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal)
  }

  #heard(line: string): void {
    this.#log.write(line.slice(0, LINE_LENGTH_MAX))
    const warning = warningOf(line)
    if (warning === undefined) return
    this.#lastWords = warning
    this.#onWarning(warning)
  }
}

/** Node's own words when a process dies. */
const DEATH = /^[A-Za-z]*Error\b/

/** The message of a warning or error in the relay's log. */
function warningOf(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry === 'object' && entry && 'level' in entry && 'msg' in entry) {
      return Number(entry.level) >= LEVEL_WARN ? String(entry.msg).slice(0, 1024) : undefined
    }
  } catch {
    // Not a log line.
  }
  return DEATH.test(line) ? line.slice(0, 1024) : undefined
}

/** A log file that starts over, keeping the last one, before it fills the disk. */
class BoundedLog {
  readonly #path: string
  #stream: WriteStream
  #bytes = 0

  constructor(path: string) {
    this.#path = path
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    this.#stream = this.#open()
  }

  write(line: string): void {
    this.#stream.write(`${line}\n`)
    this.#bytes += line.length + 1
    if (this.#bytes < LOG_BYTES_MAX) return
    this.#bytes = 0
    const full = this.#stream
    full.end(() => void rename(this.#path, `${this.#path}.1`).catch(() => {}))
    this.#stream = this.#open()
  }

  close(): void {
    this.#stream.end()
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: 'a', mode: 0o600 })
    // A log that cannot be written (disk full) must not stop the relay.
    stream.on('error', () => {})
    return stream
  }
}
