import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'turnfleet', 'bench')

/** The bare forwarder: what the kernel alone costs. Throws where there is no C compiler. */
export function builtFloor(): string {
  return built('floor', [join(HERE, 'floor.c')], HERE, (to) => ['cc', '-O2', '-o', to, 'floor.c'])
}

/** The server on pion/turn. Throws where there is no Go. */
export function builtPion(): string {
  const folder = join(HERE, 'pion')
  const sources = readdirSync(folder).map((name) => join(folder, name))
  return built('pion', sources, folder, (to) => ['go', 'build', '-trimpath', '-o', to, '.'])
}

/** Builds a program once for each content of its sources. */
function built(
  name: string,
  sources: readonly string[],
  folder: string,
  command: (to: string) => string[],
): string {
  const hash = createHash('sha256')
  for (const source of sources.toSorted()) hash.update(readFileSync(source))
  const path = join(CACHE, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(path)) return path
  mkdirSync(CACHE, { recursive: true })
  const [program = '', ...args] = command(`${path}.${process.pid}`)
  execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
  renameSync(`${path}.${process.pid}`, path)
  return path
}
