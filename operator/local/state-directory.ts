import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/**
 * Where standalone mode keeps what must outlive it:
 * `<namespace>/secrets/<name>/…` key rings and certificates, as Secrets would hold them;
 * `<namespace>/revocations/<name>/revocations.yaml` whose credentials are refused;
 * `<namespace>/relays/<uid>/…` configuration and token of each running relay;
 * `<namespace>/logs/<name>.log` what relays said;
 * `compile-cache` what Node keeps to start relays faster.
 */
export class StateDirectory {
  readonly path: string
  readonly #lock: string

  /** Makes the directory, readable by its owner only; throws where another process uses it. */
  constructor(path: string) {
    this.path = resolve(path)
    mkdirSync(this.path, { recursive: true, mode: 0o700 })
    this.#lock = join(this.path, 'standalone.pid')
    this.#acquire()
  }

  get compileCache(): string {
    return join(this.path, 'compile-cache')
  }

  secret(namespace: string, name: string, entry: string): string {
    return join(this.path, namespace, 'secrets', name, entry)
  }

  revocations(namespace: string, name: string): string {
    return join(this.path, namespace, 'revocations', name, 'revocations.yaml')
  }

  relay(namespace: string, uid: string): string {
    return join(this.path, namespace, 'relays', uid)
  }

  /** Outside the relay's own directory, which the relay watches. */
  relayLog(namespace: string, name: string): string {
    return join(this.path, namespace, 'logs', `${name}.log`)
  }

  /** Removes the files of relays that a killed process left behind; `live` are those that are in use. */
  removeRelays(namespace: string, live: ReadonlySet<string>): void {
    const relays = join(this.path, namespace, 'relays')
    if (!existsSync(relays)) return
    for (const uid of readdirSync(relays)) {
      if (!live.has(uid)) rmSync(join(relays, uid), { recursive: true, force: true })
    }
  }

  release(): void {
    rmSync(this.#lock, { force: true })
  }

  #acquire(): void {
    try {
      writeFileSync(this.#lock, `${process.pid}\n`, { flag: 'wx', mode: 0o600 })
      return
    } catch (error) {
      if (!isErrorWithCode(error, 'EEXIST')) throw error
    }
    const holder = Number(readFileSync(this.#lock, 'utf8'))
    if (holder !== process.pid && isAlive(holder)) {
      throw new Error(
        `process ${holder} uses the state directory ${this.path}: stop it, or choose another one with --state`,
      )
    }
    writeFileSync(this.#lock, `${process.pid}\n`, { mode: 0o600 })
  }
}

/** `$XDG_STATE_HOME/turnfleet`, else `~/.local/state/turnfleet`. */
export function defaultStateDirectory(): string {
  const base = process.env.XDG_STATE_HOME
  return join(base ? base : join(homedir(), '.local', 'state'), 'turnfleet')
}

/** Writes so that a reader sees the old content or the new one, never a part. */
export function writeAtomically(path: string, content: string, mode = 0o600): void {
  mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  writeFileSync(temporary, content, { mode })
  chmodSync(temporary, mode)
  renameSync(temporary, path)
}

/** The content of a file, undefined where there is none. */
export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrorWithCode(error, 'ENOENT')) return undefined
    throw error
  }
}

export function isErrorWithCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isErrorWithCode(error, 'EPERM')
  }
}
