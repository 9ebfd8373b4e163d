import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { RelayConfigInput } from '../api/config.ts'
import type { LoadReport } from '../api/load-report.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

export interface LogLine {
  readonly msg: string
  readonly level: number
  readonly [field: string]: unknown
}

interface Ready {
  readonly control: { port: number }
  readonly listeners: { protocol: string; address: string; port: number }[]
}

/** A real relay process on ports that the system chose, and its log. */
export class RelayChild {
  readonly folder = mkdtempSync(join(tmpdir(), 'turnfleet-relay-'))
  readonly lines: LogLine[] = []
  stderr = ''
  readonly #prefix: readonly string[]
  #child: ChildProcess | undefined
  #exited: Promise<number | null> | undefined
  readonly #waiters = new Set<() => void>()

  /** `prefix` is the command that starts Node where it is to run, such as `ip netns exec name`. */
  constructor(prefix: readonly string[] = []) {
    this.#prefix = prefix
  }

  /** Writes a file beside the configuration, all at once. */
  write(file: string, text: string): void {
    writeFileSync(join(this.folder, `${file}.new`), text)
    renameSync(join(this.folder, `${file}.new`), join(this.folder, file))
  }

  writeConfig(config: RelayConfigInput): void {
    this.write('relay.yaml', stringify(config))
  }

  /** Starts the process; its configuration must have been written. */
  spawn(...args: string[]): void {
    const config = join(this.folder, 'relay.yaml')
    const [program, ...rest] = [...this.#prefix, process.execPath, MAIN, '--config', config, ...args]
    const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('close', (code) => resolve(code)))
    child.stderr.on('data', (data) => {
      this.stderr += String(data)
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{')) return
      this.lines.push(JSON.parse(line) as LogLine)
      for (const look of [...this.#waiters]) look()
    })
    void this.#exited.then(() => {
      for (const look of [...this.#waiters]) look()
    })
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** The exit code, once it has ended. */
  get exited(): Promise<number | null> {
    return this.#exited ?? Promise.resolve(null)
  }

  get running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** The first line that the condition holds for; rejects when the process ends without it. */
  line(condition: (line: LogLine) => boolean): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.lines.find(condition)
        const ended = this.#child?.exitCode !== null || this.#child.signalCode !== null
        if (!found && !ended) return
        this.#waiters.delete(look)
        if (found) resolve(found)
        else reject(new Error(`the relay ended: ${this.stderr}`))
      }
      this.#waiters.add(look)
      look()
    })
  }

  async ready(): Promise<Ready> {
    return (await this.line(({ msg }) => msg === 'ready')) as unknown as Ready
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const { control } = await this.ready()
    const response = await fetch(`http://127.0.0.1:${control.port}${path}`)
    return { status: response.status, text: await response.text() }
  }

  async load(): Promise<LoadReport> {
    return JSON.parse((await this.get('/load')).text) as LoadReport
  }

  async stop(): Promise<void> {
    this.signal('SIGKILL')
    await this.exited
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A configuration for loopback: every port chosen by the system, peers on loopback allowed. */
export function loopbackConfig(change: Partial<RelayConfigInput> = {}): RelayConfigInput {
  return {
    realm: 'turn.example.org',
    listeners: [
      { protocol: 'udp', address: '127.0.0.1', port: 0 },
      { protocol: 'tcp', address: '127.0.0.1', port: 0 },
    ],
    relay: { addresses: [{ advertise: '127.0.0.1' }] },
    credentials: { users: [{ username: 'user', password: 'password' }] },
    peers: { allow: ['127.0.0.0/8', '::1/128'] },
    control: { address: '127.0.0.1', port: 0 },
    ...change,
  }
}
