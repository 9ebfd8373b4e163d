import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from './groups.ts'

const SAMPLES_PER_SECOND = 1_999
const OUTPUT_BYTES_MAX = 256_000_000

/** Where the busiest process of a core was, sample by sample, while `perf` looked. */
export async function recordCore(core: number, seconds: number): Promise<Frame[]> {
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-profile-'))
  const file = join(folder, 'perf.data')
  try {
    const args = [
      'record',
      '-e',
      'cpu-clock',
      '-F',
      String(SAMPLES_PER_SECOND),
      '-C',
      String(core),
      '-o',
      file,
    ]
    const perf = spawn('perf', [...args, '--', 'sleep', String(seconds)], { stdio: 'ignore' })
    await once(perf, 'close')
    return busiest(read(file))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Sample extends Frame {
  readonly pid: string
}

function read(file: string): Sample[] {
  const text = execFileSync('perf', ['script', '-i', file, '-F', 'pid,ip,sym,dso'], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return text.split('\n').flatMap((line) => {
    const [, pid, symbol, dso] =
      /^\s*(\d+)\s+[0-9a-f]+\s+(.*) \(([^()]*(?:\([^()]*\))?[^()]*)\)\s*$/.exec(line) ?? []
    return pid && pid !== '0' && symbol && dso ? [{ pid, symbol, dso }] : []
  })
}

function busiest(samples: readonly Sample[]): Frame[] {
  const counts = new Map<string, number>()
  for (const { pid } of samples) counts.set(pid, (counts.get(pid) ?? 0) + 1)
  const [first] = [...counts].toSorted((a, b) => b[1] - a[1])
  if (first) rmSync(`/tmp/perf-${first[0]}.map`, { force: true })
  return samples.filter(({ pid }) => pid === first?.[0])
}
