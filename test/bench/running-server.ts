import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contender, StreamAccess } from './contenders.ts'
import type { BenchNetwork } from './network.ts'

const START_TIMEOUT_MS = 15_000

/** A contender that runs. */
export class RunningServer {
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
  }

  static async start(
    contender: Contender,
    network: BenchNetwork,
    access?: StreamAccess,
  ): Promise<RunningServer> {
    const folder = mkdtempSync(join(tmpdir(), 'turnfleet-bench-'))
    const { command, ready } = contender.start(network, folder, access)
    const [program = '', ...args] = network.at('server', command)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const server = new RunningServer(child, folder)
    try {
      await server.#until(ready, contender.name)
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  /** User and system time of all its threads so far, and of the eBPF programs that it holds. */
  cpuSeconds(): number {
    return this.#processSeconds() + programSeconds(this.#child.pid)
  }

  #processSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    const [utime = 0, stime = 0] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13)
      .map(Number)
    return (utime + stime) / CLOCK_TICKS_PER_SECOND
  }

  residentBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL')
      await once(this.#child, 'close')
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #until(ready: RegExp, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let output = ''
      const fail = (why: string) => reject(new Error(`${name} ${why}:\n${output.slice(-2000)}`))
      const timer = setTimeout(() => fail('was not ready in time'), START_TIMEOUT_MS)
      this.#child.once('error', (error) => fail(`could not be started (${error.message})`))
      this.#child.once('close', () => fail('ended'))
      const hear = (data: Buffer) => {
        if (output.length < 100_000) output += String(data)
        if (!ready.test(output)) return
        clearTimeout(timer)
        resolve()
      }
      this.#child.stdout?.on('data', hear)
      this.#child.stderr?.on('data', hear)
    })
  }
}

/** USER_HZ, which Linux fixes for all that /proc shows. */
const CLOCK_TICKS_PER_SECOND = 100

/** What the eBPF programs of a process ran for, where the system counts it (kernel.bpf_stats_enabled). */
function programSeconds(pid: number | undefined): number {
  const folder = `/proc/${pid}/fdinfo`
  const nanoseconds = readdirSync(folder).map((fd) => {
    try {
      return Number(/run_time_ns:\s+(\d+)/.exec(readFileSync(join(folder, fd), 'utf8'))?.[1] ?? 0)
    } catch {
      // Closed in between.
      return 0
    }
  })
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9
}
