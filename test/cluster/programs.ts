import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

const STOP_WAIT_MS_MAX = 10_000

/** Where programs run and what they leave there. */
export interface ProgramPlace {
  /** Holds `log/`. */
  directory: string
  binaries: string
  /** A command in front of each program. */
  wrap: readonly string[]
}

/** The child processes of one control plane; none outlives this process. */
export class Programs {
  readonly #place: ProgramPlace
  readonly #running = new Map<string, ChildProcess>()
  readonly #prefix: string[]
  readonly #killAll = (): void => {
    for (const child of this.#running.values()) child.kill('SIGKILL')
  }

  constructor(place: ProgramPlace) {
    this.#place = place
    this.#prefix = [...(hasProgram('setpriv') ? ['setpriv', '--pdeathsig', 'KILL', '--'] : []), ...place.wrap]
    process.on('exit', this.#killAll)
  }

  start(name: string, args: readonly string[]): void {
    const log = openSync(join(this.#place.directory, 'log', `${name}.log`), 'a')
    const [command, ...rest] = [...this.#prefix, join(this.#place.binaries, name), ...args]
    const child = spawn(command!, rest, { stdio: ['ignore', log, log], cwd: this.#place.directory })
    closeSync(log)
    child.on('error', () => {})
    this.#running.set(name, child)
  }

  /** Runs a program to its end, where the control plane runs. */
  run(name: string, args: readonly string[], input?: string): Promise<string> {
    const [command, ...rest] = [...this.#place.wrap, join(this.#place.binaries, name), ...args]
    return new Promise((resolve, reject) => {
      const child = spawn(command!, rest, { stdio: 'pipe' })
      let out = ''
      let errors = ''
      child.stdout.on('data', (chunk) => (out += chunk))
      child.stderr.on('data', (chunk) => (errors += chunk))
      child.on('error', reject)
      child.on('close', (code) =>
        code === 0 ? resolve(out) : reject(new Error(errors.trim() || `${name} exited ${code}`)),
      )
      child.stdin.on('error', () => {})
      child.stdin.end(input ?? '')
    })
  }

  throwIfEnded(): void {
    for (const [name, child] of this.#running)
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended`)
  }

  async kill(name: string): Promise<void> {
    const child = this.#running.get(name)
    this.#running.delete(name)
    if (child) await ended(child, 'SIGKILL')
  }

  async stop(): Promise<void> {
    const inOrder = ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd']
    for (const name of inOrder) await this.kill(name)
    process.off('exit', this.#killAll)
  }

  async logs(): Promise<string> {
    const tails: string[] = []
    for (const name of this.#running.keys()) {
      const text = await readFile(join(this.#place.directory, 'log', `${name}.log`), 'utf8').catch(() => '')
      tails.push(`${name}:\n${text.split('\n').slice(-15).join('\n')}`)
    }
    return tails.join('\n')
  }
}

/** Nothing of a test's control plane is worth a graceful end. */
function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
    return Promise.resolve()
  return new Promise((resolve, reject) => {
    const tooLong = setTimeout(() => reject(new Error(`process ${child.pid} does not end`)), STOP_WAIT_MS_MAX)
    child.once('exit', () => {
      clearTimeout(tooLong)
      resolve()
    })
    child.kill(signal)
  })
}

function hasProgram(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
