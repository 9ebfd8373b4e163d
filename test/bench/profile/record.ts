import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from './groups.ts'

const SAMPLES_PER_SECOND = 1_999
const OUTPUT_BYTES_MAX = 256_000_000

/** Where a process was, sample by sample, while `perf` looked. */
export async function record(pid: number, seconds: number): Promise<Frame[]> {
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-profile-'))
  const file = join(folder, 'perf.data')
  try {
    const args = [
      'record',
      '-e',
      'cpu-clock',
      '-F',
      String(SAMPLES_PER_SECOND),
      '-p',
      String(pid),
      '-o',
      file,
    ]
    const perf = spawn('perf', [...args, '--', 'sleep', String(seconds)], { stdio: 'ignore' })
    await once(perf, 'close')
    return read(file)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    rmSync(`/tmp/perf-${pid}.map`, { force: true })
  }
}

function read(file: string): Frame[] {
  const text = execFileSync('perf', ['script', '-i', file, '-F', 'ip,sym,dso'], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return text.split('\n').flatMap((line) => {
    const [, symbol, dso] = /^\s*[0-9a-f]+\s+(.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)\s*$/.exec(line) ?? []
    return symbol && dso ? [{ symbol, dso }] : []
  })
}
