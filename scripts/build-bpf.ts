import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Compiles the eBPF program of the kernel data path: `node scripts/build-bpf.ts`, with Debian's clang and libbpf-dev. */
const FOLDER = fileURLToPath(new URL('../relay/io/linux/kernel/', import.meta.url))
const SOURCE = join(FOLDER, 'turn.bpf.c')
export const OBJECT = join(FOLDER, 'turn.bpf.o')
const RECORD = join(FOLDER, 'turn.bpf.json')
const FLAGS = ['-O2', '-target', 'bpf', '-mcpu=v3', '-Wall', '-Wextra', '-Wno-unused-parameter'] as const

/** Which source, compiler and flags the committed object was made with. */
export interface BuildRecord {
  readonly source: string
  readonly compiler: string
  readonly flags: string
  readonly object: string
}

/** What the object and the source at hand would be recorded as. */
export function recordOf(compiler: string): BuildRecord {
  return { source: sha256(SOURCE), compiler, flags: FLAGS.join(' '), object: sha256(OBJECT) }
}

export function readRecord(): BuildRecord {
  return JSON.parse(readFileSync(RECORD, 'utf8')) as BuildRecord
}

/** The version line of clang; undefined where it is not installed. */
export function compilerVersion(): string | undefined {
  try {
    return execFileSync('clang', ['--version'], { encoding: 'utf8' }).split('\n')[0]
  } catch {
    return undefined
  }
}

/** Compiles the source; returns the bytes of the object. */
export function compile(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-bpf-'))
  try {
    const output = join(folder, 'turn.bpf.o')
    // Debian keeps asm/types.h in a folder of the host's architecture.
    const headers = ['x86_64', 'aarch64'].map((arch) => `-I/usr/include/${arch}-linux-gnu`)
    execFileSync('clang', [...FLAGS, ...headers, '-c', 'turn.bpf.c', '-o', output], { cwd: FOLDER })
    return readFileSync(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

if (import.meta.main) {
  const compiler = compilerVersion()
  if (!compiler) throw new Error('clang is missing: apt-get install clang libbpf-dev')
  writeFileSync(OBJECT, compile())
  writeFileSync(RECORD, `${JSON.stringify(recordOf(compiler), null, 2)}\n`)
  process.stdout.write(`${OBJECT}: ${readFileSync(OBJECT).length} bytes\n`)
}
