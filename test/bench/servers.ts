import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import type { BenchNetwork } from './network.ts'

export const CREDENTIAL = { username: 'user', password: 'password', realm: 'bench.example.org' }
export const PORT = 3478
const RELAY_PORTS = { min: 50_000, max: 59_999 }
const RELAY_MAIN = fileURLToPath(new URL('../../relay/main.ts', import.meta.url))
const START_TIMEOUT_MS = 15_000

/** A TURN server under test. */
export interface Contender {
  readonly name: string
  start(network: BenchNetwork, folder: string): { command: string[]; ready: RegExp }
}

/** Our relay on a data path, and coturn. */
export function contenders(datapath: string): readonly Contender[] {
  return [turnfleet(datapath), coturn]
}

function turnfleet(datapath: string): Contender {
  return {
    name: 'turnfleet',
    start(network, folder) {
      const config: RelayConfigInput = {
        realm: CREDENTIAL.realm,
        listeners: [{ protocol: 'udp', address: network.serverAddress, port: PORT }],
        relay: { addresses: [{ advertise: network.serverAddress }], ports: RELAY_PORTS },
        credentials: { users: [{ username: CREDENTIAL.username, password: CREDENTIAL.password }] },
        peers: { allow: [network.generatorAddress] },
        datapath: datapath as RelayConfigInput['datapath'],
        limits: {
          allocationsPerUser: 4000,
          bytesPerSecondPerAllocation: 0,
          packetsPerSecondPerAllocation: 0,
          // Everything comes from one address.
          unauthenticatedResponsesPerSecond: 1_000_000,
          unauthenticatedResponsesPerSecondPerAddress: 0,
        },
      }
      writeFileSync(join(folder, 'relay.yaml'), stringify(config))
      return {
        command: [process.execPath, RELAY_MAIN, '--config', join(folder, 'relay.yaml')],
        ready: /"msg":"ready"/,
      }
    },
  }
}

const coturn: Contender = {
  name: 'coturn',
  start(network, folder) {
    const { username, password, realm } = CREDENTIAL
    const flags = ['-n', '--no-cli', '--no-tls', '--no-dtls', '--lt-cred-mech', '--relay-threads=1']
    const loopback = network.serverAddress === '127.0.0.1' ? ['--allow-loopback-peers'] : []
    const command = [
      ...['turnserver', ...flags, ...loopback, '--log-file=stdout', '--simple-log'],
      ...[`--listening-ip=${network.serverAddress}`, `--relay-ip=${network.serverAddress}`],
      ...[`--listening-port=${PORT}`, `--min-port=${RELAY_PORTS.min}`, `--max-port=${RELAY_PORTS.max}`],
      ...[`--realm=${realm}`, `--user=${username}:${password}`, `--pidfile=${join(folder, 'pid')}`],
      `--userdb=${join(folder, 'turndb')}`,
    ]
    return { command, ready: /\(admin thread\)/ }
  },
}

/** A contender that runs. */
export class RunningServer {
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
  }

  static async start(contender: Contender, network: BenchNetwork): Promise<RunningServer> {
    const folder = mkdtempSync(join(tmpdir(), 'turnfleet-bench-'))
    const { command, ready } = contender.start(network, folder)
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

  /** User and system time of all its threads so far. */
  cpuSeconds(): number {
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
