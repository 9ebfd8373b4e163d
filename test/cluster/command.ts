import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

/** Runs a command to its end and answers what it printed; throws with its standard error. */
export async function command(
  file: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; timeoutMs?: number } = {},
): Promise<string> {
  const { timeoutMs = 120_000, ...rest } = options
  const { stdout } = await run(file, args, { ...rest, timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX })
  return stdout
}

/** Runs lines of shell, which stop at the first that fails. */
export async function shell(script: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return command('bash', ['-euo', 'pipefail', '-c', script], { env })
}

/** A process in the background whose output goes to a file; it ends with this test process's PID namespace. */
export interface Background {
  readonly pid: number
  /** Resolves with the exit code or the signal when the process ends. */
  readonly ended: Promise<number | NodeJS.Signals>
  stop(): Promise<void>
}

/** Starts a process in the background, in a network namespace of `ip netns` where one is named. */
export function background(
  file: string,
  args: string[],
  options: { log: string; netns?: string; cwd?: string; env?: NodeJS.ProcessEnv },
): Background {
  const { log, netns, ...rest } = options
  const out = openSync(log, 'a')
  // Not "ip netns exec": that remounts /sys and hides the cgroups from the kubelet.
  const line = netns ? ['nsenter', `--net=/run/netns/${netns}`, file, ...args] : [file, ...args]
  const child = spawn(line[0]!, line.slice(1), { ...rest, stdio: ['ignore', out, out] })
  closeSync(out)
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 0))
    child.once('error', () => resolve(127))
  })
  return {
    pid: child.pid ?? -1,
    ended,
    async stop() {
      child.kill('SIGTERM')
      const hard = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await ended
      clearTimeout(hard)
    },
  }
}

/** Tries until the answer is neither undefined nor false; throws what was wanted after the deadline. */
export async function until<T>(
  what: string,
  attempt: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 30_000, everyMs = 200 }: { timeoutMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  do {
    try {
      const answer = await attempt()
      if (answer !== undefined && answer !== false) return answer
      last = undefined
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  } while (Date.now() < deadline)
  const cause = last instanceof Error ? `: ${last.message}` : ''
  throw new Error(`not within ${timeoutMs / 1000} s: ${what}${cause}`)
}
